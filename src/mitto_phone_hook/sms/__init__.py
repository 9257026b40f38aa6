"""What is sent: alphabet, segments, and the decision what leaves. Pure; knows neither callers nor Mitto."""
