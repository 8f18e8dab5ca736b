"""What an account would refuse, asked before anything is made: `account` and `resolver` ask, the others judge."""
