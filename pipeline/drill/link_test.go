package drill

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo is a server that says what it hears, and a link to it.
func echo(t *testing.T) (l *link, dial func() net.Conn) {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() { // ends with server
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	_, port, _ := net.SplitHostPort(server.Addr().String())
	l, err = newLink("127.0.78.1", "127.0.0.1", []string{port}, udpEcho(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l, func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", "127.0.78.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// udpEcho says what it hears, and returns its port.
func udpEcho(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() { // ends with c
		buffer := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(buffer[:n], from)
		}
	}()
	_, port, _ := net.SplitHostPort(c.LocalAddr().String())
	return port
}

// TestLinkPassesDatagrams, late when it is slow, and loses them while it is cut.
func TestLinkPassesDatagrams(t *testing.T) {
	l, _ := echo(t)
	c, err := net.Dial("udp", l.asked.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := says(c, "before", long); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{closed, blackHole, halfOpen} {
		l.cut(how)
		if err := says(c, "lost", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", how, err)
		}
		l.mend()
		if err := says(c, how, long); err != nil {
			t.Errorf("after %s: %v", how, err)
		}
	}
	l.slow(late, int64(30*time.Millisecond))
	begun := time.Now()
	if err := says(c, "late", long); err != nil || time.Since(begun) < 60*time.Millisecond {
		t.Errorf("there and back in %v, %v", time.Since(begun), err)
	}
}

// says sends a word and wants it back within a time.
func says(c net.Conn, word string, within time.Duration) error {
	_ = c.SetDeadline(time.Now().Add(within))
	if _, err := io.WriteString(c, word); err != nil {
		return err
	}
	heard := make([]byte, len(word))
	_, err := io.ReadFull(c, heard)
	if err == nil && string(heard) != word {
		return errors.New("heard " + string(heard))
	}
	return err
}

const long = 20 * time.Second // nothing here takes so long on any PC

func TestLinkPassesAll(t *testing.T) {
	_, dial := echo(t)
	c := dial()
	if err := says(c, string(make([]byte, 1<<20)), long); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(long))
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %d bytes, %v, want the end", n, err)
	}
}

func TestLinkIsCut(t *testing.T) {
	t.Run(closed, func(t *testing.T) {
		l, dial := echo(t)
		c := dial()
		if err := says(c, "before", long); err != nil {
			t.Fatal(err)
		}
		l.cut(closed)
		if err := says(c, "during", long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection from before: %v", err)
		}
		_, port, _ := net.SplitHostPort(c.RemoteAddr().String())
		again, err := net.Dial("tcp", "127.0.78.1:"+port) // it may be reset at once
		if err == nil {
			err = says(again, "during", long)
			again.Close()
		}
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a new connection: %v", err)
		}
		l.mend()
		if err := says(dial(), "after", long); err != nil {
			t.Error(err)
		}
	})
	t.Run(blackHole, func(t *testing.T) {
		l, dial := echo(t)
		c := dial()
		if err := says(c, "before", long); err != nil {
			t.Fatal(err)
		}
		l.cut(blackHole)
		if err := says(c, "x", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection from before: %v", err)
		}
		if err := says(dial(), "x", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a new connection: %v", err)
		}
		l.mend()
		_ = c.SetDeadline(time.Now().Add(long))
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil { // nothing is lost
			t.Errorf("read %d bytes, %v", n, err)
		}
	})
	t.Run(halfOpen, func(t *testing.T) {
		l, dial := echo(t)
		c := dial()
		if err := says(c, "before", long); err != nil {
			t.Fatal(err)
		}
		l.cut(halfOpen)
		if err := says(c, "x", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection from before: %v", err)
		}
		l.mend()
		if err := says(c, "x", long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it lives again: %v", err)
		}
		if err := says(dial(), "after", long); err != nil {
			t.Error(err)
		}
	})
}

func TestLinkIsSlow(t *testing.T) {
	l, dial := echo(t)
	c := dial()
	took := func(word string) time.Duration {
		t.Helper()
		began := time.Now()
		if err := says(c, word, long); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	l.slow(late, int64(30*time.Millisecond))
	if d := took("x"); d < 60*time.Millisecond {
		t.Errorf("there and back in %v", d)
	}
	l.mend()
	l.slow(narrow, 100_000)
	if d := took(string(make([]byte, 10_000))); d < 100*time.Millisecond {
		t.Errorf("10 kB at 100 kB/s in %v", d)
	}
}

// TestLinkIsUneven: what is sent over one connection comes in its order, and may
// overtake what was sent before over another.
func TestLinkIsUneven(t *testing.T) {
	l, dial := echo(t)
	one, other := dial(), dial()
	l.slow(uneven, int64(20*time.Millisecond))
	for range 10 {
		for _, c := range []net.Conn{one, other} {
			if err := says(c, string(make([]byte, 100_000))+"the end", long); err != nil {
				t.Fatal(err)
			}
		}
	}
	overtakes := func() bool {
		first, second := make(chan time.Time), make(chan time.Time)
		heard := func(c net.Conn, at chan time.Time) {
			if err := says(c, "x", long); err != nil {
				t.Error(err)
			}
			at <- time.Now()
		}
		go heard(one, first)
		time.Sleep(time.Millisecond)
		go heard(other, second)
		return (<-first).After(<-second)
	}
	for trial := 0; !overtakes(); trial++ {
		if trial == 1000 {
			t.Fatal("nothing is overtaken")
		}
	}
}

// TestLinkEnds in every state, with connections on it.
func TestLinkEnds(t *testing.T) {
	for _, how := range []string{"", closed, blackHole, halfOpen} {
		l, dial := echo(t)
		c := dial()
		if err := says(c, "before", long); err != nil {
			t.Fatal(err)
		}
		if how != "" {
			l.cut(how)
		}
		ended := make(chan struct{})
		go func() { l.close(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(long):
			t.Fatalf("a link that is %q does not end", how)
		}
	}
}
