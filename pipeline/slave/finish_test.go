package slave

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/core"
	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// TestSinkThatHangsInFinish is ended, and named.
func TestSinkThatHangsInFinish(t *testing.T) {
	dir, err := os.MkdirTemp("", "ts") // short: sockets in it need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "sink-test")); err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Options{Dirs: []string{dir}, Runtime: filepath.Join(dir, "r")})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	c := core.New(dir, nil)
	if _, err := c.Inlet("tc", []uint16{0}); err != nil {
		t.Fatal(err)
	}
	endpoint, err := c.Outlet("raw", []uint16{0})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }() // no driver comes: the stream has no end
	defer func() { cancel(); <-done }()
	plugin, err := h.StartSink(t.Context(), host.Spec{Plugin: "sink-test", Instance: "bob.raw"})
	if err != nil {
		t.Fatal(err)
	}
	if err := plugin.Begin(t.Context(), sdk.Recording{Run: tag.RunID{1}, Dir: dir, Streams: []sdk.RecordedStream{{Name: "b"}}}, endpoint, ""); err != nil {
		t.Fatal(err)
	}
	k := &sink{recipe: recipe.Sink{Name: "raw", Sink: "sink-test"}, ended: make(chan struct{})}
	k.process.Store(plugin)
	go func() {
		defer close(k.ended)
		for range plugin.Events() {
		}
	}()
	eq := &equipment{s: &session{node: &recipe.Node{Name: "bob"}}, log: slog.New(slog.DiscardHandler), sinks: []*sink{k}}
	err = eq.finishSink(t.Context(), k, 500*time.Millisecond)
	var f *sdk.Failure
	if !errors.As(err, &f) || f.Code != "finish-timeout" || !strings.Contains(f.Message, "bob.raw: plugin sink-test has not finished") {
		t.Errorf("told %v", err)
	}
}
