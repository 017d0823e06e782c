export const compareClients = async (_o: unknown): Promise<string> => '';
