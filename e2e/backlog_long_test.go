package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/internal/need"
)

// within calls f on a thread that is in the network namespace of a process:
// sockets that it makes belong there.
func within(pid int, f func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with this goroutine
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		ended <- err
	}()
	return <-ended
}

// narrow passes connections on, each way with so many bytes a second at most.
func narrow(t *testing.T, l net.Listener, dial func() (net.Conn, error), bytesPerSecond int) {
	t.Cleanup(func() { l.Close() })
	pass := func(to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		piece := make([]byte, max(1, bytesPerSecond/50))
		for {
			n, err := from.Read(piece)
			if _, werr := to.Write(piece[:n]); err != nil || werr != nil {
				return
			}
			time.Sleep(time.Duration(n) * time.Second / time.Duration(bytesPerSecond))
		}
	}
	go func() { // ends with l
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := dial()
			if err != nil {
				from.Close()
				continue
			}
			for _, c := range []net.Conn{from, to} { // what lies in buffers is not on the cable
				_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
				_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10)
			}
			go pass(to, from)
			go pass(from, to)
		}
	}()
}

// TestLongBacklog has files of a remote node travel for longer than a sender or
// a master waits for anything, over a cable on which one chunk of the greatest
// size takes longer than a connection may stand still.
func TestLongBacklog(t *testing.T) {
	need.Long(t)
	t.Parallel()
	here, there, address := twoHosts(t)
	anchor := start(t, t.TempDir(), there, "--mode", "slave", "--node", "nobody", "--master", "127.0.0.9") // holds the namespace
	eventually(t, 20*time.Second, "the namespace is there", func() bool { return strings.Contains(anchor.stderr.String(), "no answer") })
	work, away := t.TempDir(), t.TempDir()
	recipe := hurried(t, "", "every: 1 us", "acquire: {duration: 1 s}\ntransfer: {chunk: 4 MiB}\nnetwork: {master: "+address+", join: 2 min}")
	master := start(t, work, here, recipe, "--set", "nodes.bob.host=remote", "--json")
	host := anchor.cmd.Process.Pid
	for port, rate := range map[int]int{5557: 10 << 20, 5559: 10 << 20, 5560: 80_000} {
		var l net.Listener
		if err := within(host, func() (err error) {
			l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		narrow(t, l, func() (conn net.Conn, err error) {
			err = within(host, func() (err error) {
				conn, err = net.Dial("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
				return err
			})
			return conn, err
		}, rate)
	}
	slave := start(t, away, there, "--mode", "slave", "--node", "bob", "--master", "127.0.0.1", "--once")
	if code := master.wait(8 * time.Minute); code != 0 {
		t.Fatalf("exit code %d\n%s\nslave:\n%s", code, master.stderr.String(), slave.stderr.String())
	}
	whole(t, work)
	dir, m := latest(t, work)
	if info, err := os.Stat(filepath.Join(dir, "raw", "bob", "b-000000.bin")); err != nil || info.Size() != 8_000_000 {
		t.Errorf("bob's file: %v, %v", info, err)
	}
	if took := m.Ended.Sub(m.Started); took < 70*time.Second {
		t.Errorf("the run took %v: the cable was too good", took)
	}
	t.Logf("the run took %v", m.Ended.Sub(m.Started))
}
