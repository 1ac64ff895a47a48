package correlate

import (
	"errors"
	"fmt"

	"tsrun/sdk/tag"
)

// asRecorded makes an error show tags as they were before they were raised.
func asRecorded(err error, raised uint64) error {
	var order *OrderError
	var span *SpanError
	if errors.As(err, &order) {
		order.Raised = raised
	}
	if errors.As(err, &span) {
		span.Raised = raised
	}
	return err
}

// OrderError says that a stream of tags runs backwards.
type OrderError struct {
	Stream        string // "A" or "B"
	Index         uint64 // of the tag that is too early, from 0
	Tag, Previous uint64 // ps
	Raised        uint64 // as of the [Channel]; taken off where the tags are shown
}

func (e *OrderError) Error() string {
	return fmt.Sprintf("%s is not in order of time: tag %d at %s ps follows one at %s ps; sort each channel before correlating",
		e.Stream, e.Index, tag.MomentOf(e.Tag, e.Raised), tag.MomentOf(e.Previous, e.Raised))
}

// SpanError says that two tags lie too far apart for exact differences.
type SpanError struct {
	Stream     string // "A" or "B": where the far tag is
	Tag, First uint64 // ps; First is A's first tag
	Raised     uint64 // as in [OrderError]
}

func (e *SpanError) Error() string {
	return fmt.Sprintf("%s holds a tag at %s ps, more than 26 days from A's first at %s ps; one of the two is damaged or not in picoseconds",
		e.Stream, tag.MomentOf(e.Tag, e.Raised), tag.MomentOf(e.First, e.Raised))
}

// LimitError says that a request is larger than this package serves.
type LimitError struct {
	What, Value, Limit string
	Hint               string // what to do about it
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s of %s is over the limit of %s; %s", e.What, e.Value, e.Limit, e.Hint)
}
