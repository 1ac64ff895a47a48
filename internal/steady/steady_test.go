package steady

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestWitness: who was held up is told so, and for how long.
func TestWitness(t *testing.T) {
	w := watch()
	last := time.Now()
	for began := last; time.Since(began) < 50*time.Millisecond; {
		time.Sleep(time.Millisecond)
	}
	if held, _ := w.end(); held < 0 || held > time.Since(last) {
		t.Errorf("held up for %v within %v", held, time.Since(last))
	}
	w = watch()
	w.note(time.Hour)
	w.note(time.Second)
	if held, _ := w.end(); held != time.Hour {
		t.Errorf("held up for %v, want the longest", held)
	}
}

// TestWaited: the waits of all threads count, and what the kernel does not tell is none.
func TestWaited(t *testing.T) {
	tasks := t.TempDir()
	for thread, text := range map[string]string{"1": "500 30000000 7\n", "2": "9 12000000 1\n", "3": "0 0 0\n", "4": "nothing\n"} {
		if err := errors.Join(os.Mkdir(filepath.Join(tasks, thread), 0o700), os.WriteFile(filepath.Join(tasks, thread, "schedstat"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if got := waited(tasks); got != 42*time.Millisecond {
		t.Errorf("waited for %v, want 42 ms", got)
	}
	if got := waited(filepath.Join(tasks, "none")); got != 0 {
		t.Errorf("waited for %v without a word of the kernel", got)
	}
}

// TestTry: a trial that fails while the process is held up is made again, slower
// from the third time on, and each one is cleaned up after.
func TestTry(t *testing.T) {
	var slower []int
	cleaned := 0
	Try(t, -1, func(t *T) { // whatever happens is a hold-up
		slower = append(slower, t.Slower)
		t.Cleanup(func() {
			if t.Context().Err() == nil {
				Always(t).Error("cleaned up before the context ended")
			}
			cleaned++
		})
		time.Sleep(20 * time.Millisecond)
		if len(slower) == 1 {
			t.Error("once")
		}
		if len(slower) < 4 {
			t.Fatalf("trial %d", len(slower))
		}
		if Slower(t) != 2 || t.Failed() {
			t.Errorf("%d times slower", Slower(t))
		}
	})
	if !slices.Equal(slower, []int{1, 1, 2, 2}) || cleaned != 4 || Slower(t) != 1 || Always(t) != testing.TB(t) {
		t.Errorf("trials %v, %d cleaned up", slower, cleaned)
	}
}
