extension Array {
    /// The first index whose element is not `before`; all that are stand in front of all that are not.
    package func lowerBound(where before: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if before(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
