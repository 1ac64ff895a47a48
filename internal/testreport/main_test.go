package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	in := `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: needs x; install y\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"broken\n"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}
`
	tally, err := read(strings.NewReader(in), false, io.Discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	tally.print(&out)
	for _, want := range []string{"p TestB: needs x; install y", "broken", "1 passed, 2 failed, 1 skipped"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, out.String())
		}
	}
}

func TestPackagesAtWorkAreNamed(t *testing.T) {
	var out strings.Builder
	tally := &tally{out: &out, output: map[string][]string{}, working: map[string]*work{}}
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, e := range []event{
		{Action: "start", Package: "quick"}, {Action: "start", Package: "slow"}, {Action: "start", Package: "mute"},
		{Action: "run", Package: "slow", Test: "TestA"}, {Action: "run", Package: "slow", Test: "TestB"}, {Action: "pass", Package: "quick"},
	} {
		e.Time = began
		tally.add(e)
	}
	out.Reset()
	tally.tell(began.Add(patience / 2))
	if out.Len() > 0 {
		t.Errorf("too early:\n%s", out.String())
	}
	tally.tell(began.Add(3 * patience))
	text := strings.Join(strings.Fields(out.String()), " ")
	if want := "... mute 90s so far, no test yet ... slow 90s so far, TestB"; text != want {
		t.Errorf("it says %q, want %q", text, want)
	}
}
