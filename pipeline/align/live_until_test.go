package align_test

import (
	"context"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/sdk/tag"
)

// A clock that is looked for until some moment is looked for once in any case, and is then
// followed as any other; one that was not found is not looked for again, however long its
// record goes on.
func TestLiveSearchUntil(t *testing.T) {
	over, stop := context.WithCancel(t.Context())
	stop()
	for _, c := range []struct {
		name  string
		dark  pairs.Span // without pairs
		until context.Context
		found bool
	}{
		{"bright, over", pairs.Span{}, over, true},
		{"dark at first, over", pairs.Span{From: 0, To: 2}, over, false},
		{"dark at first, going on", pairs.Span{From: 0, To: 2}, t.Context(), true},
		{"dark at first, for ever", pairs.Span{From: 0, To: 2}, nil, true},
		{"lost and found, over", pairs.Span{From: 3, To: 4}, over, true},
	} {
		a, b, truth := pairs.Experiment{Seed: 4, Seconds: 6, SinglesA: 20e3, SinglesB: 20e3, Pairs: 2e3, NoPairs: []pairs.Span{c.dark}}.Make()
		l, err := align.NewLive(livePrior)
		if err != nil {
			t.Fatal(err)
		}
		l.SearchUntil(c.until)
		var values []align.Value
		if err := l.Read(t.Context(), tag.NewReader(a), tag.NewReader(b), func(v []align.Value) { values = append(values, v...) }); err != nil {
			t.Fatal(c.name, err)
		}
		found, err := l.Finish(t.Context())
		if err != nil {
			t.Fatal(c.name, err)
		}
		v := judge(append(values, found...), truth)
		if c.found != (v.measured > 0) || c.found && v.last < 5.5 || !c.found && l.State() != align.Searching {
			t.Errorf("%s: %+v, %s", c.name, v, l.State())
		}
	}
}

// A search that was begun ends with the context, without an error; that of the run itself
// ends it with one.
func TestLiveSearchIsGivenUp(t *testing.T) {
	a, b, _ := pairs.Experiment{Seed: 4, Seconds: 6, SinglesA: 30e3, SinglesB: 30e3, Pairs: -1}.Make()
	for _, ofRun := range []bool{false, true} {
		l, err := align.NewLive(livePrior)
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		patience, stop := context.WithCancel(t.Context())
		l.SearchUntil(patience)
		ending := &ends{Reader: tag.NewReader(b), after: len(b) / 2, end: stop}
		if ofRun {
			ending.end = end
		}
		err = l.Read(ctx, tag.NewReader(a), ending, func([]align.Value) {})
		if ofRun != (err != nil) || l.State() != align.Searching {
			t.Errorf("of the run %t: %v, %s", ofRun, err, l.State())
		}
		end()
		stop()
	}
}

// ends is a reader that calls end once some tags were read.
type ends struct {
	tag.Reader
	after int
	end   func()
}

func (e *ends) Next(into []uint64) (int, error) {
	n, err := e.Reader.Next(into)
	if e.after -= n; e.after < 0 && e.end != nil {
		go e.end()
		e.end = nil
	}
	return n, err
}
