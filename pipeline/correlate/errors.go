package correlate

import "fmt"

// OrderError says that a stream of tags runs backwards.
type OrderError struct {
	Stream        string // "A" or "B"
	Index         uint64 // of the tag that is too early, from 0
	Tag, Previous uint64 // ps
}

func (e *OrderError) Error() string {
	return fmt.Sprintf("%s is not in order of time: tag %d at %d ps follows one at %d ps; sort each channel before correlating",
		e.Stream, e.Index, e.Tag, e.Previous)
}

// SpanError says that two tags lie too far apart for exact differences.
type SpanError struct {
	Stream     string // "A" or "B": where the far tag is
	Tag, First uint64 // ps; First is A's first tag
}

func (e *SpanError) Error() string {
	return fmt.Sprintf("%s holds a tag at %d ps, more than 26 days from A's first at %d ps; one of the two is damaged or not in picoseconds",
		e.Stream, e.Tag, e.First)
}

// LimitError says that a request is larger than this package serves.
type LimitError struct {
	What, Value, Limit string
	Hint               string // what to do about it
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s of %s is over the limit of %s; %s", e.What, e.Value, e.Limit, e.Hint)
}
