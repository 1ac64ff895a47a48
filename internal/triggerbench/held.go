package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"tsrun/sdk/realtime"
)

// held is what the kernel says of a thread that waited for an instant and fired: what may
// have held it up.
type held struct {
	Ahead  int64 `json:"ahead"`  // ns before its instant that it began to wait
	Woken  int64 `json:"woken"`  // ns from the end of its sleep to when it looked at the clock
	Waited int64 `json:"waited"` // ns for which it was ready and another thread had its processor
	Stolen int64 `json:"stolen"` // ms that what is beneath a virtual machine took from all processors, to 10 ms
	Faults int64 `json:"faults"` // pages that were not there
}

// spins is how long before the instant [realtime.Await] looks at the clock.
const spins = time.Millisecond

// kernelCounts are read before a wait and after it.
type kernelCounts struct{ waited, stolen, faults int64 }

// witness reads what the kernel counts of one thread. Its files stay open, so that what is
// read between the instant and the command takes some us alone.
type witness struct {
	schedule, thread, all *os.File
	buffer                [4096]byte
}

// watchThread begins to watch the calling thread, on which the caller stays.
func watchThread() (*witness, error) {
	w := &witness{}
	for name, file := range map[string]**os.File{"thread-self/schedstat": &w.schedule, "thread-self/stat": &w.thread, "stat": &w.all} {
		var err error
		if *file, err = os.Open("/proc/" + name); err != nil {
			return nil, fmt.Errorf("see what holds a thread up: %w", err)
		}
	}
	return w, nil
}

// waited is for how many ns the thread was ready and did not run, since it was made.
func (w *witness) waited() int64 { return w.field(w.schedule, 1) }

func (w *witness) read() kernelCounts {
	return kernelCounts{
		waited: w.waited(),
		stolen: w.field(w.all, 8) * 10, // the kernel tells hundredths of a second
		faults: w.field(w.thread, 9) + w.field(w.thread, 11),
	}
}

// field is a number of the first line of a file, counted from 0; 0 where there is none.
func (w *witness) field(file *os.File, at int) int64 {
	n, _ := file.ReadAt(w.buffer[:], 0) // it ends with the file
	line, _, _ := strings.Cut(string(w.buffer[:n]), "\n")
	fields := strings.Fields(line)
	if at >= len(fields) {
		return 0
	}
	value, _ := strconv.ParseInt(fields[at], 10, 64)
	return value
}

// since says what befell the thread after an earlier reading: until it fired, when it had
// waited for so long. clock is that by which its sleep was over.
func (w *witness) since(before kernelCounts, waited int64, clock realtime.Clock, instant int64) *held {
	now := w.read()
	return &held{Woken: max(0, clock.Real-(instant-spins.Nanoseconds())), Waited: waited - before.waited,
		Stolen: now.stolen - before.stolen, Faults: now.faults - before.faults}
}

// worst is how many shots of a method are explained.
const worst = 5

// explain prints what held up the latest shots of the methods that have the priority, and
// what share of the time of all processors was stolen.
func explain(wanted series, load string, stolen float64, nodes ...[]shot) {
	fmt.Printf("%s: %.1f %% of the time of this PC's %d processors was stolen by what is beneath it\n", load, 100*stolen, runtime.NumCPU())
	for _, method := range []string{priority, early} {
		type late struct {
			by   int64
			node int
			held held
		}
		var all []late
		unready := 0
		for node, shots := range nodes {
			for i, s := range shots {
				switch {
				case wanted.method(i) != method || s.Held == nil:
				case s.Fired == 0:
					unready++
				default:
					all = append(all, late{s.Fired - s.Due, node + 1, *s.Held})
				}
			}
		}
		slices.SortFunc(all, func(a, b late) int { return cmp.Compare(b.by, a.by) })
		var others []int64 // how late but for what other threads of this PC took
		for _, l := range all {
			others = append(others, max(0, l.by-l.held.Waited))
		}
		fmt.Printf("\n%s: late but for what other threads took: %s us (p50, p99); %d drivers were not told in time; the latest:\n\n", method, us(others), unready)
		fmt.Println("| node | late us | began to wait us before | woken late us | ready and not run us | stolen ms | page faults |")
		fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
		for _, l := range all[:min(worst, len(all))] {
			fmt.Printf("| %d | %.1f | %.1f | %.1f | %.1f | %d | %d |\n", l.node, float64(l.by)/1000, float64(l.held.Ahead)/1000, float64(l.held.Woken)/1000, float64(l.held.Waited)/1000, l.held.Stolen, l.held.Faults)
		}
	}
	fmt.Println()
}

// processorTime is how long all processors have been there and how much of that was stolen, in the kernel's
// hundredths of a second.
func processorTime() (all, stolen int64) {
	text, _ := os.ReadFile("/proc/stat") // not known elsewhere
	line, _, _ := strings.Cut(string(text), "\n")
	for i, f := range strings.Fields(line) {
		n, _ := strconv.ParseInt(f, 10, 64)
		if i >= 1 && i <= 8 { // what guests use is in the user's already
			all += n
		}
		if i == 8 {
			stolen = n
		}
	}
	return all, stolen
}
