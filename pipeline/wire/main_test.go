package wire

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const wait = 60 * time.Second // longer than any test needs, so that speed decides nothing

// TestMain plays the other process when it is asked to.
func TestMain(m *testing.M) {
	switch os.Getenv("TSRUN_TEST_ROLE") {
	case "publisher":
		playPublisher(os.Getenv("TSRUN_TEST_ADDR"))
	case "server":
		playServer(os.Getenv("TSRUN_TEST_ADDR"))
	}
	goleak.VerifyTestMain(m)
}

// playPublisher publishes beacons with its process number until it is killed.
func playPublisher(addr string) {
	p, err := ListenTrigger(context.Background(), addr, Guard{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.Addr())
	for range time.Tick(5 * time.Millisecond) {
		if err := p.Publish(Order{Kind: Beacon, Seq: uint64(os.Getpid())}); err != nil {
			os.Exit(1)
		}
	}
}

// playServer answers with its process number until it is killed.
func playServer(addr string) {
	s, err := ListenStatus(context.Background(), addr, Guard{}, func(Peer, []byte) []byte { return fmt.Append(nil, os.Getpid()) })
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	select {}
}

// play starts a process in a role and returns it with the address it listens at.
func play(t *testing.T, role, addr string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TSRUN_TEST_ROLE="+role, "TSRUN_TEST_ADDR="+addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s said %q: %v", role, line, err)
	}
	return cmd, strings.TrimSpace(line)
}

func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}
