package clock

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestRecordsAreWorkedOutAgain records what a comparer is given and what it reads at
// some moments, and works these readings out again.
func TestRecordsAreWorkedOutAgain(t *testing.T) {
	for _, wanted := range []string{"auto", Probe, PTP} {
		c, one := compared(t, wanted, 10, 2000)
		var text bytes.Buffer
		r := NewRecorder(&text)
		for i, e := range c.prober.window {
			r.exchange(e, c.prober.kernel[i])
		}
		for _, f := range one.window {
			r.followed(PTP, f)
		}
		for _, s := range c.theirs {
			r.heard(s, c.heard.UnixNano(), false)
			r.heard(s, c.heard.UnixNano()+1, false) // too soon
		}
		r.Segment("raw/bob/b-000000.bin")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r.Segment("late") // is not there
		moments, err := Replay(bytes.NewReader(text.Bytes()), wanted)
		if err != nil || len(moments) != 1 || moments[0].Reading == nil {
			t.Fatalf("%s: %+v, %v\n%s", wanted, moments, err, text.String())
		}
		want, ok := c.readingAt(time.Unix(0, moments[0].UTC))
		got := *moments[0].Reading
		if !ok || got.Source != want.Source || math.Abs(float64(got.Offset-want.Offset)) > 2 || math.Abs(float64(got.Bound-want.Bound)) > 100 || len(got.Others) != len(want.Others) {
			t.Errorf("%s: worked out %+v, was %+v", wanted, got, want)
		}
	}
}

// TestLongRecordsAreThin records 2 hours: of the second, one probe a second.
func TestLongRecordsAreThin(t *testing.T) {
	var text bytes.Buffer
	r := NewRecorder(&text)
	n := network{out: 400, back: 400, tail: 100, drift: 1e-6}
	const every = 500e6
	for _, e := range n.exchanges(rand.New(rand.NewPCG(1, 1)), 4*3600, every) {
		r.exchange(e, true)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(text.String(), "\n"); lines < 7200+3500 || lines > 7200+3700 {
		t.Errorf("%d lines", lines)
	}
}

func TestRecordsThatAreNone(t *testing.T) {
	for text, says := range map[string]string{
		"":                                  "empty",
		"v,2\n":                             "version 1",
		"p,1,2,3,4,1\n":                     "begins with",
		"v,1\np,1,2\n":                      "line 2",
		"v,1\np,1,2,3,x,1\n":                "is no time",
		"v,1\nz\n":                          "line 2",
		"v,1\ns,99999999999999999999,1,f\n": "is no time",
		"v,1\nf,ptp,-9223372036854775808,2,3,4,5,a,SLAVE,\n": "is no time",
		"v,1\nm,ptp,1,1,x,1,0,0,a,,0\n":                      "is no number",
		"v,1\nm,ptp,1,1,NaN,1,0,0,a,,0\n":                    "cannot stand",
		"v,1\nm,sundial,1,1,1,1,0,0,a,,0\n":                  "cannot stand",
		"v,1\n\"":                                            "read record",
		"v,1\nf,ptp,1,2,3,4,5,a,SLAVE\n":                     "line 2",
		"v,1\nf,ptp,1,2,3,4,five,a,SLAVE,no\n":               "is no time",
	} {
		if _, err := Replay(strings.NewReader(text), "auto"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func TestMomentsOfLongRunsAreFew(t *testing.T) {
	var text strings.Builder
	text.WriteString("v,1\n")
	for i := range int64(3 * maxMoments) {
		fmt.Fprintf(&text, "s,%d,%d,f\n", epoch+i*1e9, i*1e9)
	}
	moments, err := Replay(strings.NewReader(text.String()), "auto")
	if err != nil || len(moments) > maxMoments || len(moments) < maxMoments/4 || moments[len(moments)-1].UTC < epoch+2*maxMoments*1e9 {
		t.Errorf("%d moments, %v", len(moments), err)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add("v,1\np,1,2,3,4,1\nf,ptp,1,2,3,4,5,a,SLAVE,\nm,ptp,1,1,1,1,0,0,a,,0\ns,1,2,f\n")
	f.Fuzz(func(t *testing.T, text string) { _, _ = Replay(strings.NewReader(text), "auto") })
}
