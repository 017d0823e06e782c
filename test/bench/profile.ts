export const profile = async (_p: string, _c: string, _s: number): Promise<string> => '';
