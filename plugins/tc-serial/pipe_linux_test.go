package main

import (
	"os"
	"testing"
	"time"
)

// TestFullPipe: a pipe that nobody reads is full when who writes has to wait, and not before.
func TestFullPipe(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	full := widen(out)
	if full() {
		t.Error("an empty pipe is full")
	}
	if _, err := in.Write(make([]byte, 4096)); err != nil || full() {
		t.Errorf("%v, or a page fills it", err)
	}
	written := make(chan error, 1)
	go func() {
		_, err := in.Write(make([]byte, 4<<20)) // more than it keeps
		written <- err
	}()
	for buf, left := make([]byte, chunkSize), 4<<20+4096; left > 0; {
		for left > 2<<20 && !full() { // the other fills it meanwhile, however slowly
			select {
			case err := <-written:
				t.Fatalf("all was written and nothing read: %v", err)
			case <-time.After(100 * time.Microsecond):
			}
		}
		n, err := out.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		left -= n
	}
	if err := <-written; err != nil || full() {
		t.Errorf("%v, or what was read fills it", err)
	}
}
