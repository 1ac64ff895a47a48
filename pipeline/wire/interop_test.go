package wire

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
)

// libzmq runs a Python program with args, which prints as its first line the
// address it listens at, or "ready". It returns that address and what comes of
// the program: "" when it ends well. The program ends with the test.
func libzmq(t *testing.T, program string, args ...string) (addr string, ended <-chan string) {
	t.Helper()
	const head = `
import atexit, sys, time, zmq
def socket(kind):
    s = zmq.Context.instance().socket(kind)
    s.rcvtimeo = s.sndtimeo = s.linger = 40000
    atexit.register(zmq.Context.instance().term) # when all has been sent: a program that only ends waits for nothing
    atexit.register(s.close)
    return s
def listen(s):
    s.bind("tcp://127.0.0.1:*")
    print(s.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
def connect(s):
    s.connect("tcp://" + sys.argv[1])
    print("ready", flush=True)
`
	cmd := exec.Command(need.Python(t, "zmq", "python3-zmq"), append([]string{"-c", head + program}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	says := &strings.Builder{}
	cmd.Stderr = says
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(out).ReadString('\n')
	done, waited := make(chan string, 1), make(chan bool)
	go func() {
		defer close(waited)
		if failed := cmd.Wait(); failed != nil {
			done <- fmt.Sprintf("libzmq: %v\n%s", failed, says)
			return
		}
		done <- ""
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-waited
	})
	if err != nil {
		t.Fatalf("no first line: %s", <-done)
	}
	return strings.TrimPrefix(strings.TrimSpace(first), "tcp://"), done
}

// good waits for a program that must end well.
func good(t *testing.T, ended <-chan string) {
	t.Helper()
	if failed := <-ended; failed != "" {
		t.Fatal(failed)
	}
}

// A REQ socket of libzmq can ask the status port.
func TestLibzmqRequest(t *testing.T) {
	s := listenStatus(t, echo)
	args := []string{s.Addr().String()}
	for i, body := range []string{strings.Repeat("x", 300), "", strings.Repeat("y", 50_000)} {
		e := envelope{kind: question, client: 7, seq: uint64(i + 1), body: []byte(body)}
		asked := hex.EncodeToString(e.encode())
		e.kind, e.body = answer, echo(Peer{}, e.body)
		args = append(args, asked, hex.EncodeToString(e.encode()))
	}
	_, ended := libzmq(t, `
s = socket(zmq.REQ)
s.heartbeat_ivl, s.heartbeat_timeout = 20, 2000
connect(s)
for question, answer in zip(sys.argv[2::2], sys.argv[3::2]):
    s.send(bytes.fromhex(question))
    got = s.recv_multipart()
    assert got == [bytes.fromhex(answer)], got
`, args...)
	good(t, ended)
}

// A REP socket of libzmq can answer a client.
func TestLibzmqReply(t *testing.T) {
	c := newClient(t, "")
	ours := envelope{kind: answer, client: c.id, seq: 1, body: []byte("re: hello")}
	addr, ended := libzmq(t, `
s = socket(zmq.REP)
listen(s)
got = s.recv_multipart()
assert len(got) == 1 and got[0][:4] == b"TSQA" and got[0][32:] == b"hello", got
s.send(bytes.fromhex(sys.argv[1]))
`, hex.EncodeToString(ours.encode()))
	c.addr = addr
	if got := call(t, c, "hello"); got != "re: hello" {
		t.Fatalf("got %q", got)
	}
	good(t, ended)
}

// A PUB socket of libzmq can give orders, beside what nobody here asked for.
func TestLibzmqPublisher(t *testing.T) {
	want := Order{Kind: Fire, Seq: 3, Instant: 1234567890123456789}
	addr, _ := libzmq(t, `
s = socket(zmq.PUB)
listen(s)
while True:
    s.send(b"other/" + bytes(50))
    s.send(bytes.fromhex(sys.argv[1]))
    time.sleep(0.01)
`, hex.EncodeToString(encodeOrder(want)))
	if r := next(t, dialTrigger(t, addr)); r.Order != want {
		t.Fatalf("got %v", r)
	}
}

// A SUB socket of libzmq gets orders from when it has subscribed until it has
// left the topic as often.
func TestLibzmqSubscriber(t *testing.T) {
	p := listenTrigger(t)
	_, ended := libzmq(t, `
s = socket(zmq.SUB)
s.heartbeat_ivl, s.heartbeat_timeout = 20, 2000
s.subscribe(b"trig/")
s.subscribe(b"trig/")
s.subscribe(b"other/")
connect(s)
def order():
    m = s.recv_multipart()
    assert len(m) == 1 and len(m[0]) == 56 and m[0][9] == 3, m
    assert int.from_bytes(m[0][36:44], "little") == 1234567890123456789
order()
s.unsubscribe(b"trig/")
for _ in range(10):
    order()
s.unsubscribe(b"trig/")
s.rcvtimeo = 200
try:
    while True:
        order() # those that were on their way
except zmq.Again:
    pass
`, p.Addr().String())
	for {
		if err := p.Publish(Order{Kind: Fire, Seq: 1, Instant: 1234567890123456789}); err != nil {
			t.Fatal(err)
		}
		select {
		case failed := <-ended:
			if failed != "" {
				t.Fatal(failed)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
