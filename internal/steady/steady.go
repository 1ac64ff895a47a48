// Package steady lets a test show what a program can only do while its PC keeps
// up, such as to lose nothing in records of a tenth of a second. What holds at any
// speed needs none of this.
package steady

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// trials is how often a trial is made before the program is said to be wrong. Every
// second time it is twice as slow as before, so that in the end hold-ups 32 times as
// long do no harm.
const trials = 12

// Try makes a trial and wants it not to fail. Only when it does, and this process
// was held up for longer than limit times [T.Slower] meanwhile, or was starved, it is
// made again, and everything in it should then take so many times as long: its records,
// what it expects of time, and so its limit; and there should be so many times less of
// what is computed for each second. What must hold at any speed a trial checks with
// [Always].
func Try(t *testing.T, limit time.Duration, trial func(t *T)) {
	t.Helper()
	for n := range trials {
		once := &T{TB: t, Slower: 1 << (n / 2)}
		w := watch()
		once.run(trial)
		held, starved := w.end()
		wrong := strings.Join(once.wrong, "\n")
		switch {
		case t.Failed() || wrong == "":
			return
		case held <= limit*time.Duration(once.Slower) && !starved:
			t.Fatalf("%s\n(trial %d, %d times slower than the first; this process was held up for %v at most)", wrong, n+1, once.Slower, held)
		}
		t.Logf("held up for %v at most, starved: %t, so trial %d shows nothing: %s", held, starved, n+1, wrong)
	}
	t.Fatalf("none of %d trials did it, though the last ones were slow; this PC held each of them up", trials)
}

// Always returns what fails a test for good, whether the PC keeps up or not.
func Always(t testing.TB) testing.TB {
	if once, is := t.(*T); is {
		return once.TB
	}
	return t
}

// Slower returns how many times slower than the first a trial is; 1 outside of one.
func Slower(t testing.TB) int {
	if once, is := t.(*T); is {
		return once.Slower
	}
	return 1
}

// T is one trial. Its failures fail the test only if nothing held the trial up.
type T struct {
	testing.TB
	Slower int // times than the first trial

	mu    sync.Mutex
	wrong []string
	after []func()
	ctx   context.Context
}

// run makes the trial and cleans up after it.
func (t *T) run(trial func(*T)) {
	ctx, cancel := context.WithCancel(t.TB.Context())
	t.ctx = ctx
	done := make(chan struct{})
	go func() { // as failing for good ends a goroutine
		defer close(done)
		defer func() {
			cancel()
			for i := len(t.after) - 1; i >= 0; i-- {
				t.after[i]()
			}
		}()
		trial(t)
	}()
	<-done
}

func (t *T) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, file, line, ok := runtime.Caller(2); ok {
		text = fmt.Sprintf("%s:%d: %s", filepath.Base(file), line, text)
	}
	t.wrong = append(t.wrong, strings.TrimSuffix(text, "\n"))
}

// What fails a test, and what belongs to a test, is here of the trial.

func (t *T) Error(args ...any)                 { t.note(fmt.Sprintln(args...)) }
func (t *T) Errorf(format string, args ...any) { t.note(fmt.Sprintf(format, args...)) }
func (t *T) Fail()                             { t.note("failed") }

func (t *T) Fatal(args ...any) {
	t.note(fmt.Sprintln(args...))
	runtime.Goexit()
}

func (t *T) Fatalf(format string, args ...any) {
	t.note(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (t *T) FailNow() {
	t.note("failed")
	runtime.Goexit()
}

func (t *T) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.wrong) > 0 || t.TB.Failed()
}

func (t *T) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.after = append(t.after, f)
}

func (t *T) Context() context.Context { return t.ctx }

// witness measures how long this process was held up at most: by the PC, or by
// itself.
type witness struct {
	longest atomic.Int64 // ns
	began   time.Time
	waited  time.Duration // by then
	done    chan struct{}
	beating sync.WaitGroup
}

const beat = time.Millisecond

// watch begins to look, from as many goroutines as run at a time, as what holds up
// one processor need not hold up another.
func watch() *witness {
	w := &witness{began: time.Now(), waited: waited(ownTasks), done: make(chan struct{})}
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

// starving is the part of a trial for which the threads of this process waited for a
// processor, all together, that starves it: it goes on all the time, and falls behind.
const starving = 0.1

// end returns how long this process was held up at most, and whether it was starved.
func (w *witness) end() (held time.Duration, starved bool) {
	close(w.done)
	w.beating.Wait()
	took := time.Since(w.began)
	return time.Duration(w.longest.Load()), float64(waited(ownTasks)-w.waited) > starving*float64(took)
}

// ownTasks are the threads of this process, where the kernel tells of them.
const ownTasks = "/proc/self/task"

// waited returns for how long threads that still live were ready to run and did not:
// the second number of schedstat, in ns. 0 where no kernel says.
func waited(tasks string) (all time.Duration) {
	files, _ := filepath.Glob(filepath.Join(tasks, "*", "schedstat")) // the pattern is good
	for _, f := range files {
		text, err := os.ReadFile(f)
		if fields := strings.Fields(string(text)); err == nil && len(fields) == 3 {
			ns, _ := strconv.ParseInt(fields[1], 10, 64)
			all += time.Duration(ns)
		}
	}
	return all
}
