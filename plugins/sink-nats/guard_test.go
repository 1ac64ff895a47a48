package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"tsrun/sdk/quantity"
)

// TestServersThatAnnounceTooMuch: nobody makes room for what no server may send, and the
// connection ends with the reason; what is within the bound arrives.
func TestServersThatAnnounceTooMuch(t *testing.T) {
	for name, c := range map[string]struct{ says, wrong string }{
		"as no PC has room":  {"MSG a 1 4000000000\r\n", "a message of 4000000000 bytes"},
		"as no number holds": {"MSG a 1 99999999999999999999\r\n", "announces a message as"},
		"that panicked":      {"HMSG a 1 12 4611686018427387904\r\n", "announces a message as"},
		"one byte too much":  {fmt.Sprintf("MSG a 1 %d\r\n", mostMessage+1), "none may have more than"},
		"behind a message":   {"MSG a 1 5\r\nMSG a\r\nMSG a 1 70000000\r\n", "a message of 70000000 bytes"},
		"hidden in a line":   {"MSG a 1 \r70000000\n", "announces a message as"},
		"a line without end": {"+OK" + strings.Repeat(" ", mostLine), "a line of more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := access{URL: speaker(t, c.says)}.dial()
			if err == nil { // what comes with the last word of the greeting is heard with it, or behind it
				defer conn.Close()
				until(t, "the connection ends", conn.IsClosed)
				err = conn.LastError()
			}
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%.300v, want %q", err, c.wrong)
			}
		})
	}
}

// speaker lets a client in and says something then.
func speaker(t *testing.T, says string) string {
	return falseServer(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte(`INFO {"server_id":"x","max_payload":1048576,"headers":true}` + "\r\n"))
		for lines := bufio.NewScanner(conn); lines.Scan(); { // until the client leaves
			if lines.Text() == "PING" {
				_, _ = conn.Write([]byte("PONG\r\n" + says))
			}
		}
	})
}

// FuzzProtocol: in whatever pieces the words of a server come, they are understood alike,
// and no more than a line of them is kept.
func FuzzProtocol(f *testing.F) {
	f.Add([]byte("INFO {}\r\nPONG\r\nMSG a 1 5\r\nhello\r\nHMSG a 1 r 2 4\r\nabcd\r\n"), 3)
	f.Add([]byte("MSG a 1 0\r\n\r\nmsg a 1 1\r\n\n\n-ERR 'x'\r\n"), 1)
	f.Add([]byte("MSG a 1 70000000\r\n"), 5)
	f.Fuzz(func(t *testing.T, words []byte, piece int) {
		piece = max(1, min(piece, len(words)+1))
		var whole, parts protocol
		want := whole.read(words)
		var got error
		for rest := words; got == nil && len(rest) > 0; {
			n := min(piece, len(rest))
			got, rest = parts.read(rest[:n]), rest[n:]
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || got == nil && (parts.payload != whole.payload || parts.ending != whole.ending || !bytes.Equal(parts.line, whole.line)) {
			t.Errorf("in pieces of %d: %v %+v, whole: %v %+v", piece, got, parts, want, whole)
		}
		if len(parts.line) > mostLine || parts.payload > mostMessage+1 {
			t.Errorf("%d bytes of a line, %d of a message", len(parts.line), parts.payload)
		}
	})
}

// TestAccountsWithLimits: an account that may keep no more costs the messages and not the
// files, and the end says why; one that may have no stream is told before the run.
func TestAccountsWithLimits(t *testing.T) {
	limited := func(limits server.JetStreamAccountLimits) string {
		t.Helper()
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
		if err != nil {
			t.Fatal(err)
		}
		go s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		if !s.ReadyForConnections(patient) {
			t.Fatal("the server is not ready")
		}
		if err := s.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits}); err != nil {
			t.Fatal(err)
		}
		return s.ClientURL()
	}
	c := testConfig(limited(server.JetStreamAccountLimits{MaxMemory: -1, MaxStore: 64 << 10, MaxStreams: -1, MaxConsumers: -1}))
	c.Patience = quantity.Second
	dir := t.TempDir()
	r := newRecorder(t, c, dir, 1)
	r.begin()
	for range 20 {
		r.segment(perSegment)
	}
	if err := r.finish(); err == nil || !strings.Contains(err.Error(), "has taken nothing for") || !strings.Contains(err.Error(), "resource limits exceeded") {
		t.Errorf("of 64 KiB: %v", err)
	}
	r.close()
	if got := report(t, dir); !got.Left || got.Why == "" || len(r.files) != 2*20+1 {
		t.Errorf("of 64 KiB: %+v, %d files", got, len(r.files))
	}
	full := testConfig(limited(server.JetStreamAccountLimits{MaxMemory: -1, MaxStore: -1, MaxStreams: 1, MaxConsumers: -1}))
	one, two := newRecorder(t, full, t.TempDir(), 2), newRecorder(t, full, t.TempDir(), 3)
	one.begin()
	if err := two.sink.Begin(t.Context(), two.recording()); err == nil || !strings.Contains(err.Error(), "maximum number of streams reached") {
		t.Errorf("a second stream where one may be: %v", err)
	}
	two.close()
	if err := one.finish(); err != nil {
		t.Error(err)
	}
	one.close()
}
