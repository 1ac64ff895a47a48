package correlate

import (
	"errors"
	"fmt"

	"tsrun/sdk/tag"
)

// MaxChannels is how many channels a coincidence has at most.
const MaxChannels = 8

// letters name channels in the order in which they are given.
const letters = "ABCDEFGH"

// Channel is one stream of tags and what brings them to the common clock.
type Channel struct {
	Tags       Stream
	Correction Correction // from the channel's clock to the common one, that of A
	Offset     int64      // ps: how much later its tags still come, by cables and detectors; subtracted
	Raised     uint64     // ps: added to every tag, because some lie before the zero of their clock; alike in all channels
	Record     string     // names the record the tags are of, "": one of its own; a tag makes no pair with itself
	// Breaks are where a new stretch of the record begins, as recorded, in order: between
	// two nothing was recorded, and nothing repeats after their distance but they.
	Breaks []uint64
}

// sameRecord says whether two channels bring the same tags, each of which would
// meet itself.
func (c Channel) sameRecord(other Channel) bool { return c.Record != "" && c.Record == other.Record }

// toCommon returns the correction with the offset taken off as well.
func (c Channel) toCommon() (Correction, error) {
	if c.Offset == 0 {
		return c.Correction, nil
	}
	offset, err := NewCorrection(Line{Offset: c.Offset})
	return Chain(offset, c.Correction), err
}

// checkNumber says what is wrong with the number of channels of a coincidence.
func checkNumber(n int) error {
	if n < 2 || n > MaxChannels {
		return fmt.Errorf("coincidences are of 2 to %d channels, not of %d", MaxChannels, n)
	}
	return nil
}

// differ says which channels bring the same tags: those would all be coincidences.
func differ(channels []Channel) error {
	for j, c := range channels {
		for i := range j {
			if c.sameRecord(channels[i]) {
				return fmt.Errorf("%s and %s are one record, of which every tag would meet itself; name different channels, or count it against itself by g2 or histogram, which leave such pairs out",
					letters[i:i+1], letters[j:j+1])
			}
		}
	}
	return nil
}

// CountChannels is [CountStreams] of channels on their way to a common clock. Of
// a record against itself, no tag counts with itself.
func CountChannels(a, b Channel, o HistogramOptions) (Histogram, error) {
	correctA, errA := a.toCommon()
	correctB, errB := b.toCommon()
	if err := errors.Join(errA, errB); err != nil {
		return Histogram{}, err
	}
	o.Correction = Chain(correctA.Inverse(), correctB)
	if !a.sameRecord(b) {
		h, err := CountStreams(a.Tags, b.Tags, o)
		return h, asRecorded(err, a.Raised)
	}
	if err := o.Check(); err != nil {
		return Histogram{}, err
	}
	self := &selfPairs{from: a.Tags, o: o, counts: make([]uint64, 2*(o.Range/o.Bin))}
	h, err := CountStreams(self, b.Tags, o)
	if err == nil {
		self.leaveOut(&h)
	}
	return h, asRecorded(err, a.Raised)
}

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
