package clock

import (
	"bufio"
	"encoding/csv"
	"io"
	"strconv"
	"sync"
	"time"
)

// A record of a node's clock is a text of lines that begin with a letter, which times
// in ns follow. It is what readings were worked out from, so that they can be again.
//
//	v,1                                             the form
//	p,T1,T2,T3,T4,KERNEL                            a probe; KERNEL 1: all four stamps are the kernels'
//	f,SOURCE,AT,OFFSET,DOUBT,DELAY,LOOSE,REFERENCE,STATE,LOST    what a service of this PC said
//	m,SOURCE,HEARD,OFFSET,SD,BOUND,DRIFT,DRIFT_SD,REFERENCE,LOST,SERVED    how the master's clock stood
//	s,UTC,MONOTONIC,FILE                            a segment was closed; FILE "": the start
const (
	recordVersion = "1"
	// RecordDir is the folder of a node's record, among its raw files, and RecordFile
	// its name there.
	RecordDir  = "clock"
	RecordFile = "clock.csv"
	// fullFor is how long each probe is recorded; then, of each second, the quickest.
	fullFor = int64(time.Hour)
)

// Recorder writes a record. It never fails a run: an error is kept for Close.
type Recorder struct {
	mu      sync.Mutex
	out     *csv.Writer
	buffer  *bufio.Writer
	first   int64 // T1 of the first probe
	second  int64
	pending []string // the quickest of the second
	trip    int64
	told    map[string]int64 // when the master's standing was last written, by source
	err     error
	closed  bool
}

// NewRecorder writes a record to w.
func NewRecorder(w io.Writer) *Recorder {
	buffer := bufio.NewWriterSize(w, 64<<10)
	r := &Recorder{out: csv.NewWriter(buffer), buffer: buffer, told: map[string]int64{}}
	r.write("v", recordVersion)
	return r
}

func (r *Recorder) write(fields ...string) {
	if r.closed { // what is compared after the recording
		return
	}
	if err := r.out.Write(fields); err != nil && r.err == nil {
		r.err = err
	}
}

func number(n int64) string     { return strconv.FormatInt(n, 10) }
func fraction(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
func yes(is bool) string        { return map[bool]string{true: "1", false: "0"}[is] }
func (r *Recorder) flushPending() { // of the second before
	if r.pending != nil {
		r.write(r.pending...)
		r.pending = nil
	}
}

// exchange records a probe.
func (r *Recorder) exchange(e Exchange, kernel bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == 0 {
		r.first = e.T1
	}
	line := []string{"p", number(e.T1), number(e.T2), number(e.T3), number(e.T4), yes(kernel)}
	if e.T1-r.first < fullFor {
		r.write(line...)
		return
	}
	if second := e.T1 / int64(time.Second); second != r.second {
		r.flushPending()
		r.second = second
	}
	if r.pending == nil || e.trip() < r.trip {
		r.pending, r.trip = line, e.trip()
	}
}

// followed records what a service said.
func (r *Recorder) followed(source string, f Followed) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write("f", source, number(f.At), number(f.Offset), number(f.Doubt), number(f.Delay), number(f.Loose), f.Of, f.State, f.Lost)
}

// heard records how the master's clock stood, once a second.
func (r *Recorder) heard(s Standing, at int64, served bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.told[s.Source]; at >= last && at-last < int64(time.Second) {
		return
	}
	r.told[s.Source] = at
	r.write("m", s.Source, number(at), number(s.Offset), fraction(s.Deviation), number(s.Bound), fraction(s.Drift), fraction(s.DriftSd), s.Reference, s.Lost, yes(served))
}

// Segment records that a file was closed, by this PC's clock and by one that nobody
// sets; "" is the start of the recording.
func (r *Recorder) Segment(file string) {
	if r == nil {
		return
	}
	utc, monotonic := stamps()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write("s", number(utc), number(monotonic), file)
}

// stamps reads this PC's clock and the time since this process began to compare clocks.
func stamps() (utc, monotonic int64) {
	now := time.Now()
	return now.UnixNano(), int64(now.Sub(began))
}

// Close ends the record and returns what went wrong while it was written.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushPending()
	r.closed = true
	r.out.Flush()
	if err := r.out.Error(); err != nil && r.err == nil {
		r.err = err
	}
	if err := r.buffer.Flush(); err != nil && r.err == nil {
		r.err = err
	}
	return r.err
}
