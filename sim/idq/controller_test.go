package idq_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/quantity"
	"tsrun/sdk/zmtp"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

const deadline = 20 * time.Second // for anything that should happen at once

// simulator is a controller under test, at an address of its own.
type simulator struct {
	*idq.Controller
	t      *testing.T
	truths chan idq.Truth
}

// start runs a controller until the test ends.
func start(t *testing.T, config idq.Config) *simulator {
	t.Helper()
	s := &simulator{t: t, truths: make(chan idq.Truth, 100)}
	config.Acquired = func(truth idq.Truth) { s.truths <- truth }
	if config.Sky == (sky.Settings{}) {
		config.Sky = sky.Settings{Seed: 1, Pairs: sky.Pairs{Rate: 100 * quantity.Kilohertz, Jitter: 80}}
	}
	config.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	var err error
	if s.Controller, err = idq.New(config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return s
}

// truth waits for the next acquisition to end.
func (s *simulator) truth() idq.Truth {
	s.t.Helper()
	select {
	case truth := <-s.truths:
		return truth
	case <-time.After(deadline):
		s.t.Fatal("no acquisition ended")
		return idq.Truth{}
	}
}

// client is a REQ socket that fails the test when anything is wrong.
type client struct {
	t    *testing.T
	conn *zmtp.Conn
	buf  []byte
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := zmtp.Dial(t.Context(), "tcp", addr, zmq4.Req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, buf: make([]byte, 1<<20)}
}

func (s *simulator) scpi() *client { return dial(s.t, s.SCPIAddr()) }
func (s *simulator) dlt() *client  { return dial(s.t, s.DLTAddr()) }

// ask sends a request and returns its reply.
func (c *client) ask(request string) string {
	c.t.Helper()
	if err := c.conn.Send(deadline, nil, []byte(request)); err != nil {
		c.t.Fatal(err)
	}
	reply, err := c.reply(deadline)
	if err != nil {
		c.t.Fatalf("%s: %v", request, err)
	}
	return reply
}

func (c *client) reply(within time.Duration) (string, error) {
	c.conn.SetReadDeadline(time.Now().Add(within))
	empty, more, err := c.conn.ReadFrame(c.buf)
	if err != nil || len(empty) != 0 || !more {
		return "", fmt.Errorf("no delimiter: %q, %v, %w", empty, more, err)
	}
	body, more, err := c.conn.ReadFrame(c.buf)
	if err == nil && more {
		err = fmt.Errorf("a reply of several frames")
	}
	return string(body), err
}

// expect asks and checks the reply.
func (c *client) expect(request, want string) {
	c.t.Helper()
	if got := c.ask(request); got != want {
		c.t.Errorf("%s: %q, want %q", request, got, want)
	}
}

// until asks again and again until the reply satisfies the condition.
func (c *client) Until(request string, ok func(reply string) bool) {
	c.t.Helper()
	for end := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
		reply := c.ask(request)
		if ok(reply) {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: still %s", request, reply)
		}
	}
}

type status struct {
	Records    uint64   `json:"acquisitions_count"`
	Tags       uint64   `json:"timestamps_count"`
	Inactivity *float64 `json:"inactivity"`
	Old        *float64 `json:"seconds_since_last_activity"`
	Errors     []struct {
		Description string `json:"description"`
	} `json:"errors"`
}

func (c *client) status(id string) status {
	c.t.Helper()
	var s status
	c.parse("status --id "+id, &s)
	return s
}

func (c *client) stop(id string) status {
	c.t.Helper()
	var s struct {
		Status status `json:"status"`
	}
	c.parse("stop "+id, &s)
	return s.Status
}

func (c *client) parse(request string, v any) {
	c.t.Helper()
	reply := c.ask(request)
	if strings.Contains(reply, `"error":`) {
		c.t.Fatalf("%s: %s", request, reply)
	}
	if err := json.Unmarshal([]byte(reply), v); err != nil {
		c.t.Fatalf("%s: %s: %v", request, reply, err)
	}
}

// stream starts a stream and returns its PAIR connection.
func (s *simulator) stream(d *client, channel int, options string) *zmtp.Conn {
	s.t.Helper()
	port := freePort(s.t)
	var id struct{ ID string }
	d.parse(fmt.Sprintf("start-stream --address 127.0.0.1 --channel %d --stream-port %d --id %d %s", channel, port, channel, options), &id)
	conn, err := zmtp.Dial(s.t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port), zmq4.Pair)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// message reads one message of a stream, as words.
func message(t *testing.T, conn *zmtp.Conn) []uint64 {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(deadline))
	buf := make([]byte, 16<<20)
	data, more, err := conn.ReadFrame(buf)
	if err != nil || more || len(data)%8 != 0 {
		t.Fatalf("stream: %d bytes, more %v, %v", len(data), more, err)
	}
	return words(data)
}

func words(data []byte) []uint64 {
	list := make([]uint64, len(data)/8)
	for i := range list {
		for b := range 8 {
			list[i] |= uint64(data[8*i+b]) << (8 * b)
		}
	}
	return list
}

func TestStagesOfOneRecord(t *testing.T) {
	s := start(t, idq.Config{Serial: "A1"})
	c := s.scpi()
	c.expect("*IDN?", "ID Quantique,ID1000,A1,simulated")
	c.expect("REC:STAGe?", "IDLE")
	c.expect("REC:PLAY", "") // not enabled
	c.expect("REC:STAGe?", "IDLE")
	c.expect("REC:ENAB;DUR 30000000000;NUM 1;PPER?", "Value set to ON\nValue set to 30000000000\nValue set to 1\n1000000040000TB")
	c.expect("REC:PLAY;STAG?", "PLAYing")
	c.expect("REC:PLAY", "") // already playing
	c.Until("REC:STAG?", func(r string) bool { return r == "IDLE" })
	truth := s.truth()
	if truth.Records != 1 || truth.Stopped || truth.Acquisition != 1 || truth.WidthPs != 30_000_000_000 || truth.Trigger != "command" || len(truth.Channels) != 0 {
		t.Errorf("truth: %+v", truth)
	}
	if latest := s.Truth(); latest.StartUnixNs != truth.StartUnixNs || latest.Acquisition != 1 {
		t.Errorf("latest truth: %+v", latest)
	}
}

func TestStopEndsTheRecordAtOnceAndCountsIt(t *testing.T) {
	s := start(t, idq.Config{})
	c, d := s.scpi(), s.dlt()
	stream := s.stream(d, 1, "")
	c.ask("REC:ENAB ON;NUM INF;DUR 3600e12;:RAW1:SEND ON")
	before := time.Now()
	c.ask("REC:PLAY")
	begun := time.Now()
	time.Sleep(20 * time.Millisecond) // let it record something
	c.expect("REC:STOP;STAG?", "IDLE")
	c.expect("REC:STOP", "")
	truth := s.truth()
	if at := time.Unix(0, truth.StartUnixNs); at.Before(before) || at.After(begun) {
		t.Errorf("started at %v, not between sending %v and reply %v", at, before, begun)
	}
	if truth.Records != 1 || !truth.Stopped || truth.Channels[0].Tags == 0 {
		t.Errorf("truth: %+v", truth)
	}
	if got := message(t, stream); uint64(len(got)) != truth.Channels[0].Tags || got[0] != truth.Channels[0].First {
		t.Errorf("received %d tags from %d on, truth: %+v", len(got), got[0], truth.Channels[0])
	}
	if st := d.stop("1"); st.Records != 1 || st.Tags != truth.Channels[0].Tags || len(st.Errors) != 0 {
		t.Errorf("status: %+v", st)
	}
	if got := message(t, stream); len(got) != 0 {
		t.Errorf("%d tags where the end of the stream should be", len(got))
	}
	c.expect("REC:DUR 30e9;PPER 31e9;NUM 2;PLAY", "Value set to 30000000000\nValue set to 31000000000\nValue set to 2")
	if second := s.truth(); second.Acquisition != 2 || second.Records != 2 {
		t.Errorf("second acquisition: %+v", second)
	}
}

func TestPlayRepliesAfterTheDelayedStart(t *testing.T) {
	s := start(t, idq.Config{Controller: sky.Controller{StartDelay: 100 * quantity.Millisecond}})
	c := s.scpi()
	c.ask("REC:ENAB ON;DUR 1e9")
	sent := time.Now()
	c.ask("REC:PLAY")
	replied := time.Now()
	at := time.Unix(0, s.truth().StartUnixNs)
	if at.Before(sent.Add(100*time.Millisecond)) || at.After(replied) {
		t.Errorf("sent %v, started %v, replied %v", sent, at, replied)
	}
}

func TestEveryRequestIsAnsweredOnce(t *testing.T) {
	s := start(t, idq.Config{})
	bare, err := net.Dial("tcp", s.SCPIAddr()) // stays silent through the test
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() {
			c := dial(t, s.SCPIAddr())
			for n := range 50 {
				request := fmt.Sprintf("DELA%d:VALU %d;VALU?", i+1, n)
				want := fmt.Sprintf("Value set to %d\n%dTB", n, n)
				if err := c.conn.Send(deadline, nil, []byte(request)); err != nil {
					t.Error(err)
					return
				}
				if got, err := c.reply(deadline); err != nil || got != want {
					t.Errorf("%s: %q, %v", request, got, err)
					return
				}
			}
		})
	}
	all.Wait()
	c := s.scpi()
	for _, nonsense := range []string{"", ";", ";;;", ":", "\x00\xff", strings.Repeat("A", 60000), strings.Repeat("*IDN?;", 1000), "REC:ENAB maybe", "REC:PLAY?", "*IDN"} {
		if reply := c.ask(nonsense); !strings.Contains(reply, "SCPI_ERR_") && strings.Trim(nonsense, ";") != "" {
			t.Errorf("%.20q: %q", nonsense, reply)
		}
	}
}

func TestEnvelopeComesBack(t *testing.T) {
	s := start(t, idq.Config{})
	conn, err := zmtp.Dial(t.Context(), "tcp", s.SCPIAddr(), zmq4.Dealer)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Send(deadline, []byte("hop"), nil, []byte("REC:STAG?"), []byte("ignored")); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(deadline))
	var got []string
	for more := true; more; {
		var frame []byte
		if frame, more, err = conn.ReadFrame(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		got = append(got, string(frame))
	}
	if want := []string{"hop", "", "IDLE"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGoZMQClient(t *testing.T) {
	s := start(t, idq.Config{})
	req := zmq4.NewReq(t.Context(), zmq4.WithTimeout(deadline))
	defer req.Close()
	if err := req.Dial("tcp://" + s.SCPIAddr()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := req.Send(zmq4.NewMsgString("REC:STAGe?")); err != nil {
			t.Fatal(err)
		}
		if msg, err := req.Recv(); err != nil || string(msg.Bytes()) != "IDLE" {
			t.Fatalf("%q, %v", msg.Bytes(), err)
		}
	}
}
