package correlate

// isWide says whether bins are so wide that a tag of A has many partners in each:
// then it costs less to step from bin to bin than from partner to partner.
func (y *tally) isWide(tags int, perTag float64) bool {
	const pair, start = 0.6, 32 // of two steps; steps that it takes to begin with an edge
	return perTag*float64(tags)*pair > float64(len(y.counts))*float64(tags+start)
}

// wide counts how many of B's tags are before each edge of a bin, over all tags of
// A, and takes for a bin the difference of its two edges.
func (y *tally) wide(a, b []uint64) {
	var before [lanes]uint64
	last := uint64(0)
	for k := 0; k <= len(y.counts); k += lanes {
		y.earlier(a, b, y.lo+uint64(k)*y.divide.n, &before)
		for i, n := range before[:min(lanes, len(y.counts)+1-k)] {
			if k+i > 0 {
				y.counts[k+i-1] += n - last
				y.pairs += n - last
			}
			last = n
		}
	}
}

// earlier counts for several edges, a bin apart, the pairs with b - a before it. Each
// step goes on to the next a or b, without a branch, and the edges take turns
// because the steps of one wait for each other.
func (y *tally) earlier(a, b []uint64, edge uint64, before *[lanes]uint64) {
	var at, i, j [lanes]uint64
	for k := range at {
		at[k] = edge + uint64(k)*y.divide.n
		j[k] = uint64(search(len(b), func(n int) bool { return int64(b[n]-a[0]-at[k]) >= 0 }))
		before[k] = 0
	}
	for {
		steps := uint64(len(a))
		for k := range at {
			steps = min(steps, uint64(len(a))-i[k], uint64(len(b))-j[k])
		}
		if steps == 0 {
			break
		}
		merge(a, b, &at, &i, &j, before, steps)
	}
	for k := range at { // one of them is at an end
		for ; i[k] < uint64(len(a)); i[k]++ {
			for j[k] < uint64(len(b)) && int64(b[j[k]]-a[i[k]]-at[k]) < 0 {
				j[k]++
			}
			before[k] += j[k]
		}
	}
}

// merge makes so many steps for all edges.
func merge(a, b []uint64, at, i, j, before *[lanes]uint64, steps uint64) {
	i0, i1, i2 := i[0], i[1], i[2]
	j0, j1, j2 := j[0], j[1], j[2]
	n0, n1, n2 := before[0], before[1], before[2]
	for ; steps > 0; steps-- {
		e0 := (b[j0] - a[i0] - at[0]) >> 63
		e1 := (b[j1] - a[i1] - at[1]) >> 63
		e2 := (b[j2] - a[i2] - at[2]) >> 63
		n0, n1, n2 = n0+(e0-1)&j0, n1+(e1-1)&j1, n2+(e2-1)&j2
		i0, i1, i2 = i0+1-e0, i1+1-e1, i2+1-e2
		j0, j1, j2 = j0+e0, j1+e1, j2+e2
	}
	i[0], i[1], i[2] = i0, i1, i2
	j[0], j[1], j[2] = j0, j1, j2
	before[0], before[1], before[2] = n0, n1, n2
}
