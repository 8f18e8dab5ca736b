"""What an account would refuse, asked before anything is made: `region`, `account` and `resolver` ask, others judge."""
