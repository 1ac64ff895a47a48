package slave

import (
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tsrun/pipeline/clock"
)

// notices are what a service manager hears.
func notices(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return path, func() string {
		if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

// TestSlaveTellsItsServiceManager: ready, alive while it waits for its master, and the end.
func TestSlaveTellsItsServiceManager(t *testing.T) {
	socket, next := notices(t)
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "4000")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Node: "bob", Master: "127.0.0.1:1", Data: t.TempDir(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			WatchClock: func(ctx context.Context, _ func(clock.Step)) { <-ctx.Done() }})
	}()
	if first := next(); first != "READY=1" {
		t.Errorf("told %q first", first)
	}
	for range 2 {
		if said := next(); said != "WATCHDOG=1" {
			t.Errorf("told %q", said)
		}
	}
	cancel()
	said := ""
	for said = next(); said == "WATCHDOG=1"; said = next() {
	}
	if said != "STOPPING=1" {
		t.Errorf("told %q last", said)
	}
	<-ended
}

func TestWatchdogOfOthers(t *testing.T) {
	for _, tt := range []struct {
		env   []string // socket, usec, pid
		told  bool
		every time.Duration
	}{
		{[]string{"", "", ""}, false, 0}, {[]string{"relative", "5", ""}, false, time.Microsecond}, {[]string{"/run/x", "4000000", "7"}, true, time.Second},
		{[]string{"@abstract", "4000000", "8"}, true, 0}, {[]string{"/run/x", "-4", ""}, true, 0}, {[]string{"/run/x", "99999999999999999999", ""}, true, 0},
		{[]string{"/run/x", "never", ""}, true, 0},
	} {
		names := []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
		w := newWatchdog(func(name string) string { return tt.env[slices.Index(names, name)] }, 7)
		if (w.socket != "") != tt.told || w.every != tt.every && tt.told {
			t.Errorf("%q: %q, every %v", tt.env, w.socket, w.every)
		}
	}
	gone := newWatchdog(func(string) string { return filepath.Join(t.TempDir(), "gone") }, 1)
	if gone.tell("READY=1") == nil {
		t.Error("told nobody and did not notice")
	}
}
