// Command transferbench measures what make bench-transfer shows: how fast a file
// comes to another process of this PC with its bytes proven, against a bare TCP
// connection, an rsync daemon and scp, all in one run and on the same bytes.
//
// A file of tsrun's is measured twice: until every chunk has come with its
// checksum (CRC-32C), as others prove bytes on their way or do not, and until its
// SHA-256 was computed from what is there.
//
// A rate says more of a PC than of a program, so what counts are the ratios.
// Each row is measured several times, in turn with the others, and its median
// taken.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tsrun/sdk/quantity"
)

func main() {
	if len(os.Args) > 1 && (os.Args[1] == receiverRole || os.Args[1] == senderRole) {
		if err := play(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	size := flag.Int64("mib", 2048, "length of the file in MiB")
	rounds := flag.Int("rounds", 3, "how often each row is measured")
	only := flag.String("only", "", "leave out rows in whose name these words are not, but for the bare ones")
	dir := flag.String("dir", "", "directory for the files, with room for three of them; the temporary one where it is left out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, *dir, *size<<20, *rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "measure the transfer:", err)
		os.Exit(1)
	}
}

// row is one way to bring the file over.
type row struct {
	name    string
	foreign bool   // another program, which may be set up in a way that does not let it
	missing string // why it is not measured
	bring   func(ctx context.Context, to string) (outcome, error)
	seen    []outcome
}

// outcome is one measurement.
type outcome struct {
	took   time.Duration
	proven time.Duration // until every chunk had come with its checksum; 0: there are none
	memory quantity.Size // of the process that took most, at its peak; 0: not known
	cpu    time.Duration // of all processes, in user and system
}

func measure(ctx context.Context, dir string, size int64, rounds int, only string) error {
	dir, err := os.MkdirTemp(dir, "transferbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "source.bin")
	sum, err := writeSource(source, size)
	if err != nil {
		return err
	}
	w, err := waysFor(dir, source, sum, size)
	if err != nil {
		return err
	}
	for _, r := range w.all()[2:] {
		if !strings.Contains(r.name, only) {
			r.missing = "left out"
		}
	}
	for range rounds {
		for _, r := range w.all() {
			if err := r.once(ctx, dir); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	w.show(size, rounds)
	return nil
}

// once measures a row once.
func (r *row) once(ctx context.Context, dir string) error {
	if r.missing != "" || ctx.Err() != nil {
		return ctx.Err()
	}
	to := filepath.Join(dir, "there")
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	before := spent()
	o, err := r.bring(ctx, to)
	if o.cpu == 0 {
		o.cpu = spent() - before
	}
	if err != nil && r.foreign && ctx.Err() == nil {
		r.missing = err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	r.seen = append(r.seen, o)
	return nil
}

// spent is the processor time of this process and of those that it has waited for.
func spent() (all time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil { // it has no other error than for another who
			all += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return all
}

// writeSource writes a file of random bytes, which nothing can make shorter.
func writeSource(name string, size int64) (sum [32]byte, err error) {
	f, err := os.Create(name)
	if err != nil {
		return sum, err
	}
	b := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	for at := int64(0); at < size && err == nil; at += int64(len(b)) {
		random.Read(b) // never fails
		_, err = f.Write(b[:min(int64(len(b)), size-at)])
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return sum, err
	}
	return sumOf(name)
}
