// Package steady lets a test show what a program can only do while its PC keeps
// up, such as to lose nothing in records of a tenth of a second. What holds at any
// speed needs none of this.
package steady

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// trials is how often a trial is made before the program is said to be wrong. Every
// second time it is twice as slow as before, so that in the end hold-ups 8 times as
// long do no harm.
const trials = 8

// Try makes a trial and wants it to return nil. Only when it does not, and this
// process was held up for longer than limit times slower meanwhile, it is made
// again, and everything in it should then take slower times as long: its records,
// what it expects of time, and so its limit. What must hold at any speed a trial
// checks with t as ever.
func Try(t *testing.T, limit time.Duration, trial func(slower int) error) {
	t.Helper()
	for n := range trials {
		slower := 1 << (n / 2)
		w := watch()
		err := trial(slower)
		held := w.end()
		switch {
		case err == nil || t.Failed():
			return
		case held <= limit*time.Duration(slower):
			t.Fatalf("%v (trial %d, %d times slower than the first; this process was held up for %v at most)", err, n+1, slower, held)
		}
		t.Logf("held up for %v, so trial %d shows nothing: %v", held, n+1, err)
	}
	t.Fatalf("none of %d trials did it, though the last ones were slow; this PC held each of them up", trials)
}

// witness measures how long this process was held up at most: by the PC, or by
// itself.
type witness struct {
	longest atomic.Int64 // ns
	done    chan struct{}
	beating sync.WaitGroup
}

const beat = time.Millisecond

// watch begins to look, from as many goroutines as run at a time, as what holds up
// one processor need not hold up another.
func watch() *witness {
	w := &witness{done: make(chan struct{})}
	for range runtime.GOMAXPROCS(0) {
		w.beating.Go(w.beat)
	}
	return w
}

func (w *witness) beat() {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	last := time.Now()
	for over := false; !over; {
		select {
		case <-w.done:
			over = true
		case <-ticker.C:
		}
		now := time.Now()
		w.note(now.Sub(last) - beat)
		last = now
	}
}

func (w *witness) note(held time.Duration) {
	for {
		longest := w.longest.Load()
		if int64(held) <= longest || w.longest.CompareAndSwap(longest, int64(held)) {
			return
		}
	}
}

// end returns how long this process was held up at most.
func (w *witness) end() time.Duration {
	close(w.done)
	w.beating.Wait()
	return time.Duration(w.longest.Load())
}
