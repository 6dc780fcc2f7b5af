"""What each command of the command line does, in rooms by what it is for; imported when the command is given (pure)."""
