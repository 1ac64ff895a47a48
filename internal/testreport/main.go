// Command testreport reads the output of `go test -json` and says what a
// person wants to know: what failed and its output, what was skipped and why,
// and how many passed; with -each it names those, too. Every half minute it says
// which packages are still at work, and on which test.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// event is one line of go test -json, as documented by cmd/test2json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
	Time                          time.Time
	ImportPath                    string // of a build's output
}

// tally is what the events add up to.
type tally struct {
	out            io.Writer
	each           bool // name each test that passes, with the seconds it took
	passed, failed int
	skipped        []string            // "test: reason"
	output         map[string][]string // of what has not passed yet, by package and test
	failures       []string
	working        map[string]*work // packages that have begun and not ended
}

// work is what a package is at.
type work struct {
	since time.Time
	test  string // that began last
}

// patience is how often packages at work are told of.
const patience = 30 * time.Second

func main() {
	each := flag.Bool("each", false, "name each test that passes, with the seconds it took")
	flag.Parse()
	ticker := time.NewTicker(patience)
	defer ticker.Stop()
	t, err := read(os.Stdin, *each, os.Stdout, ticker.C)
	if err != nil {
		fmt.Fprintf(os.Stderr, "testreport: %v\n", err)
		os.Exit(1)
	}
	t.print(os.Stdout)
	if t.failed > 0 {
		os.Exit(1)
	}
}

// read adds up the events of r, and says at every tick what is at work.
func read(r io.Reader, each bool, out io.Writer, ticks <-chan time.Time) (*tally, error) {
	t := &tally{each: each, out: out, output: map[string][]string{}, working: map[string]*work{}}
	lines, failed := make(chan []byte), make(chan error, 1)
	go func() { // ends with r; all lines are received
		defer close(lines)
		s := bufio.NewScanner(r)
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			lines <- slices.Clone(s.Bytes())
		}
		failed <- s.Err()
	}()
	for {
		select {
		case line, more := <-lines:
			if !more {
				return t, <-failed
			}
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				fmt.Fprintf(out, "%s\n", line) // what is no event is a tool's own message
				continue
			}
			t.add(e)
		case now := <-ticks:
			t.tell(now)
		}
	}
}

// tell names the packages that have been at work for a while.
func (t *tally) tell(now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(t.working)) {
		if w := t.working[name]; now.Sub(w.since) >= patience {
			fmt.Fprintf(t.out, "...   %-40s %.0fs so far, %s\n", name, now.Sub(w.since).Seconds(), cmp.Or(w.test, "no test yet"))
		}
	}
}

// follow keeps what each package is at.
func (t *tally) follow(e event) {
	switch {
	case e.Action == "start":
		t.working[e.Package] = &work{since: e.Time}
	case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
		delete(t.working, e.Package)
	case e.Action == "run" || e.Action == "cont":
		if w := t.working[e.Package]; w != nil {
			w.test = e.Test
		}
	}
}

func (t *tally) add(e event) {
	t.follow(e)
	key := e.Package + " " + e.Test
	if e.ImportPath != "" {
		key = e.ImportPath + " "
	}
	switch e.Action {
	case "output", "build-output":
		t.output[key] = append(t.output[key], e.Output)
		return
	case "build-fail":
		t.fail(key)
	case "pass":
		if e.Test != "" {
			t.passed++
			if t.each && !strings.Contains(e.Test, "/") {
				fmt.Fprintf(t.out, "      %-40s %.1fs\n", e.Test, e.Elapsed)
			}
		} else {
			fmt.Fprintf(t.out, "ok    %-40s %.1fs\n", e.Package, e.Elapsed)
		}
	case "fail":
		t.fail(key)
	case "skip":
		if e.Test != "" {
			t.skipped = append(t.skipped, strings.TrimSpace(key)+": "+reason(t.output[key]))
		}
	}
	if e.Action == "pass" || e.Action == "skip" {
		delete(t.output, key)
	}
}

func (t *tally) fail(key string) {
	t.failed++
	t.failures = append(t.failures, key)
	fmt.Fprintf(t.out, "FAIL  %s\n", key)
}

// reason is the line a test gave when it was skipped: "    file.go:12: reason".
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if _, after, ok := strings.Cut(line, ".go:"); ok {
			if _, why, ok := strings.Cut(after, ": "); ok {
				return strings.TrimSpace(why)
			}
		}
	}
	return "no reason given"
}

func (t *tally) print(w io.Writer) {
	for _, key := range t.failures {
		fmt.Fprintf(w, "\n--- %s\n%s", key, strings.Join(t.output[key], ""))
	}
	if len(t.skipped) > 0 {
		fmt.Fprintln(w, "\nskipped:")
		for _, s := range t.skipped {
			fmt.Fprintln(w, "  "+s)
		}
	}
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", t.passed, t.failed, len(t.skipped))
}
