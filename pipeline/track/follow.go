package track

import (
	"context"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/quantity"
)

// Follow tracks B's clock from the seed's Reference both ways, to the ends of
// the records, and smooths it. Tags are in order of time. The error is
// [ErrLost] when no pairs are found, or the context's.
func Follow(ctx context.Context, a, b []uint64, seed Seed) (*Track, error) {
	if err := seed.Line.Check(); err != nil {
		return nil, err
	}
	return nil, ErrLost
}

// At returns B minus A at a time of A's clock, and its standard deviation.
func (t *Track) At(time uint64) (offset quantity.Fine, sd float64) { return quantity.Fine{}, 0 }

// Correction returns what carries B's tags to A's clock along the track.
func (t *Track) Correction() (correlate.Correction, error) { return correlate.Correction{}, nil }

// Filter follows B's clock while the records grow.
type Filter struct{}

// NewFilter returns a filter that begins at the seed's Reference.
func NewFilter(seed Seed) *Filter { return &Filter{} }

// State says how the filter stands.
type State struct {
	Tracking  bool   // the last slice had pairs where they were expected
	LostSince uint64 // A's time of the last pairs, when not
	Time      uint64 // A's time up to which tags were looked at
	Steps     []Step // so far
}

// Advance takes the next tags of both records.
func (f *Filter) Advance(a, b []uint64) ([]Knot, error) { return nil, nil }

// State returns how the filter stands.
func (f *Filter) State() State { return State{} }

// At predicts B minus A at a time of A's clock.
func (f *Filter) At(time uint64) (offset quantity.Fine, sd float64) { return quantity.Fine{}, 0 }
