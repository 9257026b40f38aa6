"""What is sent: the alphabet, the segments, the finished SMS. Does no I/O; knows neither callers nor Mitto."""
