package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tsrun/sdk/quantity"
)

// ways are the rows of the table.
type ways struct {
	bare, hash, over, fresh, four, secure, rsync, scp *row
}

func waysFor(dir, source string, sum [32]byte, size int64) (w ways, err error) {
	laboratory, err := newLaboratory(dir)
	if err != nil {
		return w, err
	}
	file := sourceFile{source, sum, size}
	return ways{
		bare:   &row{name: "bare TCP, memory to memory", bring: bareTCP(size)},
		hash:   &row{name: "SHA-256 of the file, one core", bring: hashOf(source, sum)},
		over:   file.ours("tsrun, written over", 1, "", false),
		fresh:  file.ours("tsrun, new file", 1, "", true),
		four:   file.ours("tsrun, new file, 4 connections", 4, "", true),
		secure: file.ours("tsrun, new file, TLS", 1, laboratory, true),
		rsync:  rsyncDaemon(dir, source),
		scp:    scp(dir, source),
	}, nil
}

func (w ways) all() []*row {
	return []*row{w.bare, w.hash, w.over, w.fresh, w.four, w.secure, w.rsync, w.scp}
}

// median returns the median of what is wanted of the outcomes of a row.
func median[T cmp.Ordered](seen []outcome, of func(outcome) T) T {
	all := make([]T, 0, len(seen))
	for _, o := range seen {
		all = append(all, of(o))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// rate returns the median rate in MB/s until all was done.
func (r *row) rate(size int64) float64 {
	return float64(size) / 1e6 / median(r.seen, func(o outcome) time.Duration { return o.took }).Seconds()
}

// proven returns the median rate in MB/s until every chunk had come with its checksum.
func (r *row) proven(size int64) float64 {
	return float64(size) / 1e6 / median(r.seen, func(o outcome) time.Duration { return o.proven }).Seconds()
}

// cost returns the median processor time of all processes, in s for a GB.
func (r *row) cost(size int64) float64 {
	return median(r.seen, func(o outcome) time.Duration { return o.cpu }).Seconds() / float64(size) * 1e9
}

func (r *row) memory() (most quantity.Size) {
	for _, o := range r.seen {
		most = max(most, o.memory)
	}
	return most
}

// show prints the table and what is wanted of it.
func (w ways) show(size int64, rounds int) {
	bare := w.bare.rate(size)
	fmt.Printf("%d MiB, median of %d\n\n%-32s %9s %9s %9s %9s %9s\n", size>>20, rounds, "", "chunks", "all", "of bare", "processor", "memory")
	fmt.Printf("%-32s %9s %9s %9s %9s %9s\n", "", "MB/s", "MB/s", "", "s/GB", "MiB")
	for _, r := range w.all() {
		if r.missing != "" {
			fmt.Printf("%-32s not measured: %s\n", r.name, r.missing)
			continue
		}
		memory, chunks, cost := "-", "-", "-"
		if !r.foreign { // whose processes are not all waited for
			cost = fmt.Sprintf("%.2f", r.cost(size))
		}
		if m := r.memory(); m > 0 {
			memory = fmt.Sprint(int64(m) >> 20)
		}
		if r.seen[0].proven > 0 {
			chunks = fmt.Sprintf("%.0f", r.proven(size))
		}
		fmt.Printf("%-32s %9s %9.0f %9.2f %9s %9s\n", r.name, chunks, r.rate(size), r.rate(size)/bare, cost, memory)
	}
	fmt.Println()
	w.judge(size, bare)
}

// judge prints what is wanted of the rows that were measured.
func (w ways) judge(size int64, bare float64) {
	if w.over.missing == "" {
		want("written over, chunks proven, of bare TCP", w.over.proven(size)/bare, 0.5)
		want("written over, SHA-256 as well, of bare TCP", w.over.rate(size)/bare, 0.5)
	}
	for _, other := range []struct {
		*row
		least float64
	}{{w.rsync, 1.5}, {w.scp, 2}} {
		if other.missing == "" && w.fresh.missing == "" {
			want("new file, chunks proven, of "+other.name, w.fresh.proven(size)/other.rate(size), other.least)
			want("new file, SHA-256 as well, of "+other.name, w.fresh.rate(size)/other.rate(size), other.least)
		}
	}
	most := max(w.over.memory(), w.fresh.memory(), w.four.memory(), w.secure.memory())
	word := "reached     "
	if most >= 100<<20 {
		word = "NOT REACHED "
	}
	fmt.Printf("%s memory of an end below 100 MiB: %d\n", word, int64(most)>>20)
	if hash := w.hash.rate(size); hash < bare/2 {
		fmt.Printf("\nA core of this PC computes SHA-256 at %.2f of bare TCP: no file that is proven by it comes faster.\n", hash/bare)
	}
}

func want(what string, got, least float64) {
	word := "reached     "
	if got < least {
		word = "NOT REACHED "
	}
	fmt.Printf("%s %s: %.2f, at least %.2f\n", word, what, got, least)
}
