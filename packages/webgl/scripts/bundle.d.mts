export declare const licence: string;
export declare function bundle(dist?: string): Promise<{ readonly file: string; readonly bytes: number }>;
