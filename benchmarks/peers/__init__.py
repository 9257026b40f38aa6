"""What people would use instead, as small as it can be and still do the job: take the hook's POST, post to Mitto, answer."""
