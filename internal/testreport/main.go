// Command testreport reads the output of `go test -json` and says what a
// person wants to know: what failed and its output, what was skipped and why,
// and how many passed; with -each it names those, too.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of go test -json, as documented by cmd/test2json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
	ImportPath                    string // of a build's output
}

// tally is what the events add up to.
type tally struct {
	each           bool // name each test that passes, with the seconds it took
	passed, failed int
	skipped        []string            // "test: reason"
	output         map[string][]string // of what has not passed yet, by package and test
	failures       []string
}

func main() {
	each := flag.Bool("each", false, "name each test that passes, with the seconds it took")
	flag.Parse()
	t, err := read(os.Stdin, *each)
	if err != nil {
		fmt.Fprintf(os.Stderr, "testreport: %v\n", err)
		os.Exit(1)
	}
	t.print(os.Stdout)
	if t.failed > 0 {
		os.Exit(1)
	}
}

func read(r io.Reader, each bool) (*tally, error) {
	t := &tally{each: each, output: map[string][]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text()) // what is no event is a tool's own message
			continue
		}
		t.add(e)
	}
	return t, lines.Err()
}

func (t *tally) add(e event) {
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
				fmt.Printf("      %-40s %.1fs\n", e.Test, e.Elapsed)
			}
		} else {
			fmt.Printf("ok    %-40s %.1fs\n", e.Package, e.Elapsed)
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
	fmt.Printf("FAIL  %s\n", key)
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
