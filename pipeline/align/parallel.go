package align

// span returns the limits of the i-th of parts about equal parts of n things.
func span(n, parts, i int) (from, to int) { return n * i / parts, n * (i + 1) / parts }
