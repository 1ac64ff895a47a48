package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tsrun/pipeline/keys"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk/quantity"
	"tsrun/sdk/zmtp"
)

const (
	receiverRole, senderRole = "receiver", "sender"
	placeInRun               = "raw/bob/source.bin"
)

var token = [16]byte{1}

// play is what a process of its own does: one end of a transfer.
func play(role string, args []string) error {
	if role == receiverRole && len(args) == 2 {
		return receive(args[0], args[1])
	}
	if role == senderRole && len(args) == 7 {
		return send(args)
	}
	return errors.New("this is a part of transferbench, which starts it itself")
}

// receive receives files below dir until its input ends. Questions come over a
// connection of their own, a line each.
func receive(dir, laboratory string) error {
	var guard wire.Guard
	if laboratory != "" {
		store, err := keys.Open(laboratory)
		if err != nil {
			return err
		}
		if guard.Security, err = store.Master(); err != nil {
			return err
		}
	}
	r, err := transfer.NewReceiver("127.0.0.1:0", guard, nil)
	if err != nil {
		return err
	}
	r.Admit(transfer.Admission{Token: token, Node: "bob", Dir: dir, Plan: transfer.Plan{Places: []transfer.Place{{Folder: "raw/bob", Files: 1}}, Bytes: 1 << 40}})
	questions, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		conn, err := questions.Accept()
		for lines := bufio.NewScanner(conn); err == nil && lines.Scan(); {
			var f transfer.File
			if err = json.Unmarshal(lines.Bytes(), &f); err == nil {
				err = json.NewEncoder(conn).Encode(r.Ask(token, f))
			}
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	fmt.Println(r.Addr(), questions.Addr())
	return errors.Join(r.Run(ctx), r.Close())
}

// newLaboratory makes the keys of a master and of a node.
func newLaboratory(dir string) (string, error) {
	dir = filepath.Join(dir, "keys")
	store, err := keys.Open(dir)
	if err != nil {
		return "", err
	}
	if _, err := store.Init(); err != nil {
		return "", err
	}
	return dir, store.Issue("bob", dir, 24*time.Hour)
}

// send sends one file: its path, size and SHA-256, the connections to take, two
// addresses, and where the keys are. It prints how many ns before the end every chunk was proven.
func send(args []string) error {
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	f := transfer.File{ID: 1, Name: placeInRun, Path: args[0], Size: size}
	if err := f.SHA256.UnmarshalText([]byte(args[2])); err != nil {
		return err
	}
	streams, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	var security *zmtp.Security
	if args[6] != "" {
		store, err := keys.Open(args[6])
		if err != nil {
			return err
		}
		if security, err = store.Node("bob"); err != nil {
			return err
		}
	}
	conn, err := net.Dial("tcp", args[5])
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := json.NewDecoder(conn)
	asked, proven := false, time.Time{}
	s := transfer.NewSender(transfer.SenderOptions{Addr: args[4], Token: token, Streams: streams, Security: security,
		Ask: func(_ context.Context, f transfer.File) (a transfer.Answer, err error) {
			if err := json.NewEncoder(conn).Encode(f); err != nil {
				return a, err
			}
			err = answers.Decode(&a)
			if len(a.Missing) == 0 && asked && proven.IsZero() {
				proven = time.Now()
			}
			asked = true
			return a, err
		}})
	s.Queue(f)
	s.Finish()
	if err := s.Run(context.Background()); err != nil {
		return err
	}
	fmt.Println(time.Since(proven).Nanoseconds())
	return nil
}

// sourceFile is what is brought over.
type sourceFile struct {
	path string
	sum  [32]byte
	size int64
}

// ours is a row of tsrun's own transfer, both ends processes of their own, with
// TLS where there is a laboratory.
func (f sourceFile) ours(name string, streams int, laboratory string, fresh bool) *row {
	return &row{name: name, bring: func(ctx context.Context, to string) (o outcome, err error) {
		there := filepath.Join(to, placeInRun)
		if !fresh {
			if err := fill(there+".part", f.size); err != nil {
				return o, err
			}
		}
		self, err := os.Executable()
		if err != nil {
			return o, err
		}
		receiver := exec.CommandContext(ctx, self, receiverRole, to, laboratory)
		receiver.Stderr = os.Stderr
		in, err := receiver.StdinPipe()
		if err != nil {
			return o, err
		}
		out, err := receiver.StdoutPipe()
		if err != nil {
			return o, err
		}
		if err := receiver.Start(); err != nil {
			return o, err
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		addresses := strings.Fields(line)
		if err == nil && len(addresses) == 2 {
			sender := exec.CommandContext(ctx, self, senderRole, f.path, fmt.Sprint(f.size), hex.EncodeToString(f.sum[:]),
				fmt.Sprint(streams), addresses[0], addresses[1], laboratory)
			sender.Stderr = os.Stderr
			start := time.Now()
			said, failed := sender.Output()
			o.took = time.Since(start)
			after, bad := strconv.ParseInt(strings.TrimSpace(string(said)), 10, 64)
			err = errors.Join(failed, bad)
			o.proven = o.took - time.Duration(after)
			o.memory, o.cpu = peak(sender), spentBy(sender)
		}
		in.Close()
		err = errors.Join(err, receiver.Wait())
		o.memory, o.cpu = max(o.memory, peak(receiver)), o.cpu+spentBy(receiver)
		return o, err
	}}
}

// peak is the most memory that a process had.
func peak(c *exec.Cmd) quantity.Size {
	if c.ProcessState == nil {
		return 0
	}
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return quantity.Size(usage.Maxrss) << 10
}

// spentBy is the processor time of a process that has ended.
func spentBy(c *exec.Cmd) time.Duration {
	if c.ProcessState == nil {
		return 0
	}
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}

// fill writes a file of zeros, for another to be written over it.
func fill(name string, size int64) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < size && err == nil; at += int64(len(zeros)) {
		_, err = f.Write(zeros[:min(int64(len(zeros)), size-at)])
	}
	return errors.Join(err, f.Sync(), f.Close())
}

func sumOf(name string) (sum [32]byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return [32]byte(h.Sum(nil)), err
}
