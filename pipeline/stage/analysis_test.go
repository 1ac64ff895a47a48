package stage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/sdk/quantity"
)

// A full disk is told from tags that cannot be read.
func TestResultFileErrors(t *testing.T) {
	d := runtest.NewDirectory(t)
	a := &analysis{dir: d.Path()}
	var r run.Result
	r.Stage = "x"
	bad := errors.New("bad tags")
	if err := a.file(&r, ".csv", func(w io.Writer) error { _, _ = w.Write([]byte("half")); return bad }); err != bad {
		t.Errorf("got %v", err)
	}
	full := func(w io.Writer) error {
		w.(*watched).w = runtest.FullDisk{}
		_, err := w.Write([]byte("x"))
		return fmt.Errorf("pair: %w", err)
	}
	var failed *writeError
	if err := a.file(&r, ".csv", full); !errors.As(err, &failed) || !errors.Is(err, runtest.ErrFull) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(d.Path(), run.ResultsDir)); err != nil || len(left) > 0 || len(r.Files) > 0 {
		t.Errorf("left %v, files %v (%v)", left, r.Files, err)
	}
}

func TestExpectations(t *testing.T) {
	bound := func(mHz int64) *quantity.Frequency { f := quantity.Frequency(mHz); return &f }
	for _, c := range []struct {
		name   string
		expect recipe.Expect
		want   string
	}{
		{"within", recipe.Expect{Channel: "alice.signal", RateMin: bound(5000), RateMax: bound(5000)}, ""},
		{"too low", recipe.Expect{Channel: "alice.signal", RateMin: bound(1_000_000)}, "a rate of 5.000 Hz is below the expected 1.000 kHz"},
		{"too high", recipe.Expect{Channel: "alice.signal", RateMax: bound(4999)}, "a rate of 5.000 Hz is above the expected 4.999 Hz"},
		{"no such channel counts nothing", recipe.Expect{Channel: "zoe.x", RateMin: bound(1)}, "a rate of 0.000 Hz is below the expected 0.001 Hz"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := runtest.GoodManifest()
			expectations([]recipe.Expect{c.expect}, m)
			m.Judge()
			got := ""
			for _, r := range m.Reasons {
				got += r.Message
			}
			if got != c.want || m.Has(run.Tainted) != (c.want != "") {
				t.Errorf("%q, condition %v", got, m.Condition)
			}
		})
	}
}
