package host

import (
	"log/slog"
	"sync"
)

// Most of what a plugin has said and the log has not taken yet; what it says beyond is counted.
const (
	mostLines     = 4096    // lines
	mostLineBytes = 8 << 20 // of them together
)

// talk takes what a plugin says to the log, beside who reads it: a plugin that says more
// than the log takes is not held up, or it would be in its acquisition.
type talk struct {
	log *slog.Logger

	mu    sync.Mutex
	said  []said
	bytes int
	left  uint64        // lines that were left out since that was told
	idle  chan struct{} // closed when all that was said is written; nil: it is
}

// said is something that a plugin has said, and how it gets into the log.
type said struct {
	write func()
	bytes int
}

// say has something written soon, or leaves it out.
func (t *talk) say(bytes int, write func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.said) >= mostLines || t.bytes+bytes > mostLineBytes {
		t.left++
		return
	}
	t.said, t.bytes = append(t.said, said{write, bytes}), t.bytes+bytes
	if t.idle == nil {
		t.idle = make(chan struct{})
		go t.write() // ends when all is written
	}
}

// write writes what was said until there is no more of it.
func (t *talk) write() {
	for {
		t.mu.Lock()
		if len(t.said) == 0 {
			left := t.left
			t.left = 0
			if left == 0 {
				close(t.idle)
				t.idle = nil
			}
			t.mu.Unlock()
			if left == 0 {
				return
			}
			t.log.Warn("plugin said more than the log takes, and the rest is left out", "lines_left_out", left)
			continue
		}
		next := t.said[0]
		t.said[0], t.said = said{}, t.said[1:]
		t.bytes -= next.bytes
		t.mu.Unlock()
		next.write()
	}
}

// end waits until everything that was said is written.
func (t *talk) end() {
	t.mu.Lock()
	idle := t.idle
	t.mu.Unlock()
	if idle != nil {
		<-idle
	}
}
