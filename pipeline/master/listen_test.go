package master

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk"
	"tsrun/sdk/zmtp"
)

// A port that cannot be had is told once, with the key of the recipe that is
// to be changed: of a port that is taken another than of an address that this PC
// lacks.
func TestListenFailures(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	listen := func(addr string) error {
		l, err := zmtp.Listen("tcp", addr, zmq4.Rep, zmtp.Options{})
		if err == nil {
			l.Close()
		}
		return err
	}
	for _, c := range []struct {
		err         error
		field, says string
	}{
		{listen(taken.Addr().String()), "network.ports.status", "another tsrun"},
		{listen("198.51.100.7:0"), "network.master", "must be an address of this PC"},
		{fmt.Errorf("listen: %w", syscall.EACCES), "network.ports.status", "may take"},
		{context.Canceled, "network.ports.status", "may take"},
	} {
		var f *sdk.Failure
		if err := listenFailure("status", c.err); c.err == nil || !errors.As(err, &f) || f.Field != c.field || !strings.Contains(f.Hint, c.says) {
			t.Errorf("%v is told as %v, want %s and %q", c.err, err, c.field, c.says)
		} else if text := err.Error(); strings.Count(text, "tsrun") > 1 || strings.Count(text, "another program") > 1 {
			t.Errorf("it says a thing twice: %v", text)
		}
	}
}

// A node that is late is named once, before the message; others behind it.
func TestLateNodesAreNamedOnce(t *testing.T) {
	s, _ := newState([]string{"bob", "carol", "dave"}, rules{master: "10.0.0.1"})
	for late, want := range map[string]string{
		"bob":            "did not join within 0s",
		"bob carol dave": "did not join within 0s (the same holds for carol, dave)",
	} {
		if f := s.lateness(strings.Fields(late)); f.Message != want || !strings.Contains(f.Hint, "--node bob --master 10.0.0.1") {
			t.Errorf("%s: %q; %q", late, f.Message, f.Hint)
		}
	}
}
