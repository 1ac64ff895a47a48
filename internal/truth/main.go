// Command truth measures what tsrun states against records whose truth is known,
// and prints one table for each kind of statement. It ends with code 1 when a
// bound does not hold.
//
//	go run ./internal/truth [-part] [-from N] [TABLE ...]
//
// The whole takes minutes to an hour. With -part each table measures a share of
// it that takes seconds; with -from each measures records that no other N has.
// A new table is one file: a value of type table, listed in tables, with seeds
// from report.seed.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

func main() {
	part := flag.Bool("part", false, "measure a part that takes seconds a table")
	from := flag.Int("from", 0, "measure other records than those of `N` = 0")
	verbose := flag.Bool("v", false, "tell of each record")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: truth [-part] [-from N] [TABLE ...]; tables are:")
		for _, t := range tables {
			fmt.Fprintf(os.Stderr, "  %-14s %s\n", t.name, t.about)
		}
	}
	flag.Parse()
	for _, name := range flag.Args() {
		if !slices.ContainsFunc(tables, func(t table) bool { return t.name == name }) {
			fmt.Fprintf(os.Stderr, "truth: there is no table %q\n", name)
			flag.Usage()
			os.Exit(2)
		}
	}
	broken := 0
	for _, t := range tables {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), t.name) {
			continue
		}
		began := time.Now()
		r := &report{part: *part, verbose: *verbose, from: *from}
		t.run(r)
		fmt.Printf("## %s: %s\n\n", t.name, t.about)
		r.print(os.Stdout)
		fmt.Printf("\n%.0f s\n\n", time.Since(began).Seconds())
		broken += len(r.broken)
	}
	if broken > 0 {
		fmt.Printf("%d of the bounds above do not hold\n", broken)
		os.Exit(1)
	}
}
