"""What each command of the command line does, one module for each kind; imported when the command is given (pure)."""
