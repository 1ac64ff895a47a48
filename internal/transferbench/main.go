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
	"slices"
	"strings"
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
	dir := flag.String("dir", "", "directory for the files, with room for three of them; the temporary one where it is left out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, *dir, *size<<20, *rounds); err != nil {
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
}

// rate returns the median rate in MB/s until all was done.
func (r *row) rate(size int64) float64 {
	return median(size, r.seen, func(o outcome) time.Duration { return o.took })
}

// proven returns the median rate in MB/s until every chunk had come with its checksum.
func (r *row) proven(size int64) float64 {
	return median(size, r.seen, func(o outcome) time.Duration { return o.proven })
}

func median(size int64, seen []outcome, of func(outcome) time.Duration) float64 {
	took := make([]time.Duration, 0, len(seen))
	for _, o := range seen {
		took = append(took, of(o))
	}
	slices.Sort(took)
	return float64(size) / took[len(took)/2].Seconds() / 1e6
}

func (r *row) memory() (most quantity.Size) {
	for _, o := range r.seen {
		most = max(most, o.memory)
	}
	return most
}

func measure(ctx context.Context, dir string, size int64, rounds int) error {
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
	rows := []*row{
		{name: "bare TCP, memory to memory", bring: bareTCP(size)},
		{name: "SHA-256 of the file, one core", bring: hashOf(source, sum)},
		ours("tsrun, written over", source, sum, size, 1, false),
		ours("tsrun, new file", source, sum, size, 1, true),
		ours("tsrun, new file, 4 connections", source, sum, size, 4, true),
		rsyncDaemon(dir, source),
		scp(dir, source),
	}
	for range rounds {
		for _, r := range rows {
			if err := r.once(ctx, dir); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	show(rows, size, rounds)
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
	o, err := r.bring(ctx, to)
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

// show prints the table and what is wanted of it.
func show(rows []*row, size int64, rounds int) {
	bare := rows[0].rate(size)
	fmt.Printf("%d MiB, median of %d\n\n%-32s %9s %9s %9s %9s\n", size>>20, rounds, "", "chunks", "all", "of bare", "memory")
	fmt.Printf("%-32s %9s %9s %9s %9s\n", "", "MB/s", "MB/s", "", "MiB")
	for _, r := range rows {
		if r.missing != "" {
			fmt.Printf("%-32s not measured: %s\n", r.name, r.missing)
			continue
		}
		memory := "-"
		if m := r.memory(); m > 0 {
			memory = fmt.Sprint(int64(m) >> 20)
		}
		chunks := "-"
		if r.seen[0].proven > 0 {
			chunks = fmt.Sprintf("%.0f", r.proven(size))
		}
		fmt.Printf("%-32s %9s %9.0f %9.2f %9s\n", r.name, chunks, r.rate(size), r.rate(size)/bare, memory)
	}
	fmt.Println()
	over, fresh := rows[2], rows[3]
	want("written over, chunks proven, of bare TCP", over.proven(size)/bare, 0.5)
	want("written over, SHA-256 as well, of bare TCP", over.rate(size)/bare, 0.5)
	for i, least := range []float64{1.5, 2} {
		if other := rows[5+i]; other.missing == "" {
			want("new file, chunks proven, of "+other.name, fresh.proven(size)/other.rate(size), least)
			want("new file, SHA-256 as well, of "+other.name, fresh.rate(size)/other.rate(size), least)
		}
	}
	if most := max(over.memory(), fresh.memory(), rows[4].memory()); most >= 100<<20 {
		fmt.Printf("NOT REACHED  memory of an end below 100 MiB: %d\n", int64(most)>>20)
	} else {
		fmt.Printf("reached      memory of an end below 100 MiB: %d\n", int64(most)>>20)
	}
	if hash := rows[1].rate(size); hash < bare/2 {
		fmt.Printf("\nA core of this PC computes SHA-256 at %.2f of bare TCP: no file that is proven by it comes faster.\n", hash/bare)
	}
}

func want(what string, got, least float64) {
	word := "reached     "
	if got < least {
		word = "NOT REACHED "
	}
	fmt.Printf("%s %s: %.2f, at least %.2f\n", word, strings.TrimSpace(what), got, least)
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
