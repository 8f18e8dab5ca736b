"""Every change of a member's points, one a file: what is asked, what it reads, how it decides, what it answers."""
