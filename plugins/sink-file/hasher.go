package main

import "hash"

// hasher hashes bytes while they are written: it takes longer than the copy to
// the page cache, and the two need not wait for each other. It belongs to one
// goroutine, like the sink.
type hasher struct {
	work chan hashing
	done chan struct{}
}

type hashing struct {
	into  hash.Hash
	bytes []byte
}

func newHasher() *hasher {
	h := &hasher{work: make(chan hashing), done: make(chan struct{})}
	go func() {
		for w := range h.work {
			w.into.Write(w.bytes)
			h.done <- struct{}{}
		}
		close(h.done)
	}()
	return h
}

// during hashes b while do runs, and returns when both are done.
func (h *hasher) during(into hash.Hash, b []byte, do func() error) error {
	h.work <- hashing{into, b}
	err := do()
	<-h.done
	return err
}

// stop waits for the goroutine.
func (h *hasher) stop() {
	close(h.work)
	<-h.done
}
