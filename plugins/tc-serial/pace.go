package main

import (
	"time"

	"tsrun/sdk/fifteen"
)

const (
	// roundTime is a round of the time of a TDC1: 268 ms.
	roundTime = time.Duration(fifteen.ShortTick<<fifteen.ShortTimeBits) / 1000
	// paceWindow has a word of each TDC1, however dark, which is not late.
	paceWindow = 2 * time.Second
	// paceSpare is what the delay of words may change by from one window to the
	// next, of the clocks and the line.
	paceSpare = 50 * time.Millisecond
)

// pace compares the time of the words with the clock of the PC: how late they
// come. Words that a busy PC reads late are followed by some that are not late;
// where whole rounds of the time were lost, all that follow look late by them,
// to the end. Words that have not come in time may still come, so that only the
// end tells.
type pace struct {
	begun   bool
	base    time.Duration // the least delay in the window before
	least   time.Duration // and in this one
	until   time.Duration // end of this window, since the start
	latest  time.Duration // the most that all words of a window were late
	added   time.Duration // of the delay, in jumps that have stayed
	jumpAt  time.Duration // of the first of them, since the start
	sampled time.Duration
}

// due says whether a time, since the start, is worth a sample.
func (p *pace) due(at time.Duration) bool { return !p.begun || at-p.sampled > 5*time.Millisecond }

// sample takes the time of a word that was read at a time, both since the start.
func (p *pace) sample(at, word time.Duration) {
	delay := at - word
	p.sampled = at
	switch {
	case !p.begun:
		p.begun, p.base, p.least, p.until = true, delay, delay, at+paceWindow
	case at < p.until:
		p.least = min(p.least, delay)
	default:
		p.jump(p.until - paceWindow)
		p.base, p.least, p.until = p.least, delay, at+paceWindow
	}
}

// jump adds what the delay of a window that began at a time has changed.
func (p *pace) jump(at time.Duration) {
	by := p.least - p.base
	if by > -paceSpare && by < paceSpare {
		return
	}
	if p.added < paceSpare {
		p.jumpAt = at
	}
	p.added = max(p.added+by, 0)
	p.latest = max(p.latest, p.added)
}

// lost is how many whole rounds are missing at the end, when all words have
// come, and since when. The unit was told to end at a time; its last word cannot
// be older than a round, so what is more is lost.
func (p *pace) lost(end, word time.Duration) (rounds int, since time.Duration) {
	if !p.begun {
		return int((end - word - paceSpare) / roundTime), 0
	}
	p.jump(p.until - paceWindow)
	late := end - word - p.least // than words before
	switch {
	case late < 0:
		p.added = max(p.added+late, 0) // what was late came after all
	case late > roundTime+paceSpare:
		if p.added < paceSpare {
			p.jumpAt = p.sampled
		}
		p.added += late - late%roundTime
	}
	return int((p.added + paceSpare) / roundTime), p.jumpAt
}
