export function faultWords(fault) { return fault.seen; }
