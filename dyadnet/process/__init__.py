"""What dyadnet does to and hears from the process that it is called from: signals, libraries, the terminal."""
