// Command pagebench measures what the page of a run costs while tags come as fast as they
// are asked for: `make bench-page`. Two nodes with a device each that repeats a block of
// light (SIMULATED) record with and without a page, in turns; with it one browser's stream
// is read all the while, and the numbers for Prometheus once a second.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func main() {
	program := flag.String("program", "bin/tsrun", "the tsrun that is measured, its plugins beside it")
	rates := flag.String("rates", "2,5,10,20", "million tags a second, of both nodes together")
	seconds := flag.Int("seconds", 8, "length of each acquisition")
	rounds := flag.Int("rounds", 3, "how often with and without, in turns")
	flag.Parse()
	if err := table(*program, *rates, *seconds, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "pagebench:", err)
		os.Exit(1)
	}
}

func table(program, rates string, seconds, rounds int) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	b, err := newBench(program, seconds)
	if err != nil {
		return err
	}
	defer b.close()
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("%d processors; load before: %s; %d s each, SIMULATED\n\n", runtime.NumCPU(), strings.Fields(string(load) + " - ")[0], seconds)
	fmt.Println("| million tags/s | page | tags lost, each round | CPU s of all processes till all files are there, each round | of these the master's | mean of all | page's share of it |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	highest := 0.0
	for text := range strings.SplitSeq(rates, ",") {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || !(rate > 0 && rate <= 1000) {
			return fmt.Errorf("--rates %s: %q is no number of million tags a second, up to 1000", rates, text)
		}
		whole, err := b.compare(rate, rounds)
		if err != nil {
			return fmt.Errorf("%g million tags/s: %w", rate, err)
		}
		if whole {
			highest = max(highest, rate)
		}
	}
	if highest == 0 {
		fmt.Println("\nAt none of these rates every tag was kept on this PC.")
		return nil
	}
	fmt.Printf("\nThe highest of these rates at which every tag was kept, with the page and without: %g million tags/s.\n", highest)
	return nil
}

// compare records at a rate with and without the page, in turns, and prints what that took;
// whole says that no tag was lost in any of it.
func (b *bench) compare(rate float64, rounds int) (whole bool, err error) {
	var of [2][]cost // without and with
	whole = true
	for n := range rounds {
		for k := range 2 {
			with := (n+k)%2 == 1
			c, err := b.record(rate, with)
			if err != nil {
				return false, err
			}
			i := map[bool]int{true: 1}[with]
			of[i], whole = append(of[i], c), whole && c.lost == 0
		}
	}
	without, with := mean(of[0]), mean(of[1])
	for i, name := range []string{"no", "yes"} {
		var lost, all, master []string
		for _, c := range of[i] {
			lost, all, master = append(lost, fmt.Sprint(c.lost)), append(all, seconds(c.all)), append(master, seconds(c.master))
		}
		share := ""
		if i == 1 && without > 0 {
			share = fmt.Sprintf("%.1f %%", 100*float64(with-without)/float64(without))
		}
		fmt.Printf("| %g | %s | %s | %s | %s | %s | %s |\n", rate, name, strings.Join(lost, ", "), strings.Join(all, ", "), strings.Join(master, ", "), seconds(mean(of[i])), share)
	}
	return whole, nil
}

func mean(of []cost) (sum time.Duration) {
	for _, c := range of {
		sum += c.all
	}
	return sum / time.Duration(max(len(of), 1))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
