//go:build !linux

package realtime

import "time"

// born is when the process read its clocks first: monotonic counts from there.
var born = time.Now()

func realtime() int64  { return time.Now().UnixNano() }
func monotonic() int64 { return int64(time.Since(born)) }

func sleepUntil(mono int64) { <-time.After(time.Duration(mono - monotonic())) }
