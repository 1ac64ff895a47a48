package main

import (
	"context"
	"errors"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

const millisecond = int64(1_000_000_000) // ps

// named is one kind of record.
type named struct {
	name string
	e    pairs.Experiment
}

// within20ppm is a search of so many ps about zero, at the default drift.
func within20ppm(search int64) align.Options {
	return align.Options{Search: search, MaxDrift: align.DefaultMaxDrift}
}

var defaults = within20ppm(align.DefaultSearch)

// answer is what align says of a record whose truth is known.
type answer struct {
	align.Alignment
	truth  pairs.Truth
	err    error
	code   string  // of a refusal, or what else went wrong; "": there is an answer
	beside float64 // ps: the cables of what is said
}

// alignedAs is what was said of a record.
func alignedAs(found align.Alignment, truth pairs.Truth, err error) answer {
	a := answer{Alignment: found, truth: truth, err: err}
	var refusal *align.Refusal
	if errors.As(err, &refusal) {
		a.code = refusal.Code
	} else if err != nil {
		a.code = err.Error()
	}
	return a
}

// aligned plays an experiment and aligns its records.
func aligned(e pairs.Experiment, o align.Options) answer {
	a, b, truth := e.Make()
	found, err := align.Align(context.Background(), a, b, o)
	return alignedAs(found, truth, err)
}

// off is the error of the offset, in ps.
func (a answer) off() float64 { return a.Offset.Minus(a.truth.OffsetAt(a.Reference)) - a.beside }

// pull is off over its stated deviation.
func (a answer) pull() float64 { return a.off() / a.OffsetSD }

// startOff is the error of the offset at the start, in ps.
func (a answer) startOff() float64 {
	return a.StartOffset.Minus(a.truth.OffsetAt(a.Start)) - a.beside
}

func (a answer) startPull() float64 { return a.startOff() / a.StartSD }

// end is when the records of both end.
func (a answer) end() uint64 { return a.Start + uint64(a.Overlap) }

// steps is how many jumps of the clock were found.
func (a answer) steps() int {
	if a.Track == nil {
		return 0
	}
	return len(a.Track.Steps)
}

// knots are the pulls of the knots of the track.
func (a answer) knots() (pulls []float64) {
	if a.Track == nil {
		return nil
	}
	for _, k := range a.Track.Knots {
		pulls = append(pulls, (k.Offset.Minus(a.truth.OffsetAt(k.Time))-a.beside)/k.OffsetSD)
	}
	return pulls
}

// path is what is said at n+1 times from the start to the end: errors in ps and
// their deviations.
func (a answer) path(n int) (errors, sds []float64) {
	for i := range uint64(n + 1) {
		t := a.Start + uint64(a.Overlap)/uint64(n)*i
		said, sd := a.OffsetAt(t)
		errors, sds = append(errors, said.Minus(a.truth.OffsetAt(t))-a.beside), append(sds, sd)
	}
	return errors, sds
}

// over divides values by their deviations.
func over(values, sds []float64) []float64 {
	pulls := make([]float64, len(values))
	for i := range values {
		pulls[i] = values[i] / sds[i]
	}
	return pulls
}
