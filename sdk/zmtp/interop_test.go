package zmtp

import (
	"bytes"
	"context"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/internal/need"
	"tsrun/internal/steady"
)

// peer is a libzmq program in Python. It gets the kind of its socket, "bind"
// or "connect", and an address, and plays its part; lines it prints are its say.
const peer = `
import sys, time, zmq
kind, how, addr = sys.argv[1:4]
context = zmq.Context()
s = context.socket(getattr(zmq, kind))
s.linger = s.rcvtimeo = s.sndtimeo = 30000
slower = int(sys.argv[4]) if len(sys.argv) > 4 else 0
if slower:
    s.heartbeat_ivl, s.heartbeat_timeout = 20 * slower, 200 * slower
getattr(s, how)(addr)
if how == "bind":
    print(s.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
big = bytes(range(256)) * 1172
if kind in ("PUSH", "PAIR"):
    if slower:
        time.sleep(slower) # several heartbeat time-outs
    s.send_multipart([b"head", b"", big])
    s.send(b"x" * 255)
if kind in ("PULL", "PAIR"):
    m = s.recv_multipart()
    assert m == [b"head", b"", big], [len(f) for f in m]
    assert s.recv() == b"x" * 255
if kind == "REQ":
    s.send(b"question")
    assert s.recv_multipart() == [b"answer", big]
if kind == "REP":
    assert s.recv_multipart() == [b"question", big]
    s.send(b"answer")
if kind == "DEALER":
    s.send_multipart([b"", b"question"])
    assert s.recv_multipart() == [b"", b"answer", big]
s.close()
context.term() # when all has been sent: a program that only ends waits for nothing
print("good", flush=True)
`

var big = func() (b []byte) {
	for range 1172 {
		for i := range 256 {
			b = append(b, byte(i))
		}
	}
	return b
}()

// libzmq runs peer and returns the connection to it and a wait for its end.
func libzmq(t testing.TB, own zmq4.SocketType, args ...string) (*Conn, func()) {
	t.Helper()
	python := need.Python(t, "zmq", "python3-zmq")
	ctx, cancel := context.WithTimeout(t.Context(), 2*wait)
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, python, append([]string{"-c", peer}, args...)...)
	cmd.Stderr = &complaints
	ended := sync.OnceValue(cmd.Wait)
	run := func() {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cancel()
			_ = ended()
		})
	}
	var c *Conn
	if args[1] == "connect" {
		l, err := Listen("tcp", "127.0.0.1:0", own, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		cmd.Args[5] = "tcp://" + l.Addr().String()
		cmd.Stdout = &out
		run()
		if c, err = l.Accept(ctx); err != nil {
			t.Fatal(err)
		}
	} else {
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		run()
		line := make([]byte, 64)
		n, err := stdout.Read(line)
		if err != nil {
			t.Fatal(err)
		}
		addr := bytes.TrimPrefix(bytes.TrimSpace(line[:n]), []byte("tcp://"))
		if c, err = Dial(ctx, "tcp", string(addr), own); err != nil {
			t.Fatal(err)
		}
	}
	return c, func() {
		if err := ended(); err != nil {
			t.Errorf("peer: %v\n%s", err, &complaints)
		}
		c.Close()
	}
}

func expect(t testing.TB, c *Conn, frames ...[]byte) {
	t.Helper()
	buf := make([]byte, len(big))
	for i, want := range frames {
		got, more, err := c.ReadFrame(buf)
		if err != nil || !bytes.Equal(got, want) || more != (i < len(frames)-1) {
			t.Fatalf("frame %d: %d bytes of %d, more %v, %v", i, len(got), len(want), more, err)
		}
	}
}

func say(t *testing.T, c *Conn, frames ...[]byte) {
	t.Helper()
	if err := c.Send(wait, frames...); err != nil {
		t.Fatal(err)
	}
}

func TestLibzmqPeers(t *testing.T) {
	head, empty, short := []byte("head"), []byte{}, bytes.Repeat([]byte("x"), 255)
	sends := func(t *testing.T, c *Conn) { say(t, c, head, empty, big); say(t, c, short) }
	takes := func(t *testing.T, c *Conn) { expect(t, c, head, empty, big); expect(t, c, short) }
	question, answer := []byte("question"), []byte("answer")
	for _, how := range []string{"connect", "bind"} {
		for _, c := range []struct {
			theirs string
			own    zmq4.SocketType
			play   func(*testing.T, *Conn)
		}{
			{"PUSH", zmq4.Pull, takes},
			{"PULL", zmq4.Push, sends},
			{"PAIR", zmq4.Pair, func(t *testing.T, c *Conn) { takes(t, c); sends(t, c) }},
			// An empty frame stands between a request and its envelope (RFC 28).
			{"REQ", zmq4.Rep, func(t *testing.T, c *Conn) { expect(t, c, empty, question); say(t, c, empty, answer, big) }},
			{"REP", zmq4.Req, func(t *testing.T, c *Conn) { say(t, c, empty, question, big); expect(t, c, empty, answer) }},
			{"DEALER", zmq4.Router, func(t *testing.T, c *Conn) { expect(t, c, empty, question); say(t, c, empty, answer, big) }},
		} {
			t.Run(c.theirs+" that does "+how, func(t *testing.T) {
				conn, end := libzmq(t, c.own, c.theirs, how, "tcp://127.0.0.1:*")
				if conn.PeerType() != c.theirs {
					t.Errorf("peer type %s", conn.PeerType())
				}
				c.play(t, conn)
				end()
			})
		}
	}
}

// A libzmq peer that gets no PONG gives the connection up, and its messages
// would come over another one.
func TestLibzmqHeartbeatsAreAnswered(t *testing.T) {
	steady.Try(t, 100*time.Millisecond, func(t *steady.T) {
		c, end := libzmq(t, zmq4.Pull, "PUSH", "connect", "", strconv.Itoa(t.Slower))
		defer c.Close()
		expect(t, c, []byte("head"), []byte{}, big)
		expect(t, c, bytes.Repeat([]byte("x"), 255))
		end()
	})
}
