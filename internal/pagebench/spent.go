package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// spent is what processors have done for a process, and for it with all that it has
// started, the waited-for among them.
func spent(pid int) (c cost) {
	stats := map[int][]string{}
	all, _ := os.ReadDir("/proc") // empty where there is none, and then nothing was spent
	for _, e := range all {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if text, err := os.ReadFile("/proc/" + e.Name() + "/stat"); err == nil {
			stats[n] = strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		}
	}
	c.master = ticks(stats[pid], 2)
	for n, fields := range stats {
		if descends(n, pid, stats) {
			c.all += ticks(fields, 4)
		}
	}
	return c
}

// ticks sums utime and stime of proc_pid_stat(5), and with four those of children that
// have ended, too.
func ticks(fields []string, numbers int) (sum time.Duration) {
	const first, hz = 11, 100 // after the name; USER_HZ
	for i := range numbers {
		if first+i < len(fields) {
			n, _ := strconv.ParseInt(fields[first+i], 10, 64) // of the kernel
			sum += time.Duration(n) * time.Second / hz
		}
	}
	return sum
}

// descends reports whether a process is another one, or was started by it or its children.
func descends(n, from int, stats map[int][]string) bool {
	for range 64 { // no tree of processes is deeper
		if n == from {
			return true
		}
		fields := stats[n]
		if len(fields) < 2 {
			return false
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil || parent == 0 {
			return false
		}
		n = parent
	}
	return false
}
